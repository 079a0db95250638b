'use strict';
// Calls that leave the bus, by AWS's SDK: hops.cjs v3|v2 CALL,CALL… hops.mjs is the same as an ES module.
const [,, sdk, calls] = process.argv;
const QUEUE = 'https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo';
const TOPIC = 'arn:aws:sns:us-east-1:123456789012:alerts';
const MACHINE = 'arn:aws:states:us-east-1:123456789012:stateMachine:rebalance';
const TEXT = '< \u00fcn\u00ef \u{1f600} ';
const attributes = Object.fromEntries([...Array(10).keys()].map((i) => [`a${i}`, i % 2 ? { DataType: 'Binary', BinaryValue: Buffer.from([0, 255]) } : { DataType: 'String', StringValue: TEXT }]));
const batch = (body) => [...Array(10).keys()].map((i) => ({ Id: `e${i}`, [body]: TEXT + 'x'.repeat(i) }));
const ALL = {
  send: ['SQS', 'sendMessage', { QueueUrl: QUEUE, MessageBody: TEXT, MessageAttributes: attributes, MessageGroupId: 'g', MessageDeduplicationId: 'd' }],
  batch: ['SQS', 'sendMessageBatch', { QueueUrl: QUEUE, Entries: batch('MessageBody') }],
  large: ['SQS', 'sendMessage', { QueueUrl: QUEUE, MessageBody: 'x'.repeat((1 << 20) - 1) }],
  publish: ['SNS', 'publish', { TopicArn: TOPIC, Message: TEXT, MessageAttributes: attributes }],
  long: ['SNS', 'publish', { TopicArn: TOPIC, Message: 'x'.repeat(200_000) }],
  sms: ['SNS', 'publish', { PhoneNumber: '+4912345', Message: 'body' }],
  publishes: ['SNS', 'publishBatch', { TopicArn: TOPIC, PublishBatchRequestEntries: batch('Message') }],
  sync: ['Lambda', 'invoke', { FunctionName: 'worker', Payload: '{"a":1}', ClientContext: 'e30=' }],
  async: ['Lambda', 'invoke', { FunctionName: 'arn:aws:lambda:us-east-1:123456789012:function:worker:live', InvocationType: 'Event', Payload: '{}' }],
  start: [sdk === 'v2' ? 'StepFunctions' : 'SFN', 'startExecution', { stateMachineArn: MACHINE, name: 'n', input: '{"a":1}' }],
  success: [sdk === 'v2' ? 'StepFunctions' : 'SFN', 'sendTaskSuccess', { taskToken: 'token', output: '{}' }],
  schedule: ['Scheduler', 'createSchedule', {
    Name: 'open', GroupName: 'trading', ScheduleExpression: 'at(2026-11-30T09:35:00)', ScheduleExpressionTimezone: 'America/New_York', FlexibleTimeWindow: { Mode: 'OFF' }, ClientToken: 'token',
    Target: { Arn: 'arn:aws:lambda:us-east-1:123456789012:function:f', RoleArn: 'arn:aws:iam::123456789012:role/role-of-it', Input: '{"c":1}' },
  }],
  record: ['Kinesis', 'putRecord', { StreamName: 'ticks', Data: Buffer.from([0, 255]), PartitionKey: 'p' }],
  records: ['Kinesis', 'putRecords', { StreamName: 'ticks', Records: [{ Data: 'x', PartitionKey: 'p' }, { Data: 'xx', PartitionKey: 'p' }] }],
  many: ['Kinesis', 'putRecords', { StreamName: 'ticks', Records: Array(500).fill({ Data: 'x', PartitionKey: 'p' }) }],
  huge: ['Kinesis', 'putRecords', { StreamName: 'ticks', Records: Array(4).fill({ Data: Buffer.alloc(1 << 20), PartitionKey: 'p' }) }],
  payload: ['Lambda', 'invoke', { FunctionName: 'worker', Payload: Buffer.alloc(6 << 20, 'x') }],
  startsync: [sdk === 'v2' ? 'StepFunctions' : 'SFN', 'startSyncExecution', { stateMachineArn: MACHINE, input: '{}' }],
  other: ['SQS', 'getQueueUrl', { QueueName: 'orders' }],
  receive: ['SNS', 'listTopics', {}],
};
const config = { region: 'us-east-1', maxAttempts: 3, maxRetries: 2, retryDelayOptions: { base: 1 } };

// run makes the calls. library returns the module of a client of SDK v3, v2 the whole of SDK v2.
exports.run = async (library, v2) => {
  const clients = {};
  const call = (name) => {
    const [service, operation, input] = ALL[name];
    if (!clients[service]) clients[service] = sdk === 'v2' ? new v2[service](config) : new (library(service)[service])(config);
    const made = clients[service][operation](input);
    return sdk === 'v2' ? made.promise() : made;
  };
  for (const name of calls.split(',')) {
    try {
      const { $metadata, ResponseMetadata, ...answer } = await call(name);
      if (answer.Payload) answer.Payload = Buffer.from(answer.Payload).toString();
      console.log(name, JSON.stringify(answer));
    } catch (error) {
      console.log(name, error.name, error.code, error.message, /throughline|hops\.cjs:\d+:\d+\)\n.*loopback/.test(error.stack || ''));
    }
  }
};

if (require.main === module) exports.run((service) => require(`@aws-sdk/client-${service.toLowerCase()}`), sdk === 'v2' && require('aws-sdk'));
