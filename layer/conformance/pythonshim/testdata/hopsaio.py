import asyncio
import aioboto3
async def main():
    async with aioboto3.Session().client("sqs") as client:
        r = await client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo", MessageBody="body")
        print(r["MessageId"])
asyncio.run(main())
