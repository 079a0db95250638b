# A tracer's handler that writes the trace header of one call, and not of the other.
import boto3
client = boto3.client("sqs")
def led(params, **_): params["headers"]["x-amzn-trace-id"] = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4737;Parent=00f067aa0ba902b9;Sampled=1"
send = lambda: print(client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo", MessageBody="body")["MessageId"])
client.meta.events.register("before-call.sqs.SendMessage", led)
send()
client.meta.events.unregister("before-call.sqs.SendMessage", led)
send()
