# The user gives up a call by what "except Exception" does not take.
import boto3, botocore.config, signal
def late(*_): raise KeyboardInterrupt
client = boto3.client("sqs", config=botocore.config.Config(retries={"max_attempts": 0}))
send = lambda: client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo", MessageBody="body")
send()
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: send()
except KeyboardInterrupt: print("given up")
