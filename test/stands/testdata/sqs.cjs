// Sends and receives by the SDK for JavaScript v2.
const AWS = require('aws-sdk')
const sqs = new AWS.SQS({ endpoint: process.env.ENDPOINT, region: 'us-east-1', accessKeyId: 'a', secretAccessKey: 'b', maxRetries: 0 })

async function main() {
  const { QueueUrl } = await sqs.createQueue({ QueueName: 'q' }).promise()
  const MessageAttributes = { A: { DataType: 'String', StringValue: 'ünï' }, B: { DataType: 'Binary', BinaryValue: Buffer.from([0, 255]) } }
  const sent = await sqs.sendMessage({ QueueUrl, MessageBody: 'é', MessageAttributes }).promise()
  const batch = await sqs.sendMessageBatch({ QueueUrl, Entries: [{ Id: 'a', MessageBody: 'é' }, { Id: 'b', MessageBody: '\u0000' }] }).promise()
  const received = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ['All'] }).promise()
  console.log(`${sent.MessageId ? 1 : 0} sent, batch ${batch.Successful.length} and ${batch.Failed.length} failed, received ${received.Messages.length} ${received.Messages[0].Body}`)
}

main().catch(error => { console.error(error); process.exit(1) })
