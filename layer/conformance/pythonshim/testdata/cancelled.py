# The user gives up a call by what "except Exception" does not take.
import boto3, botocore.config, signal
def late(*_): raise KeyboardInterrupt
client = boto3.client("events", config=botocore.config.Config(retries={"max_attempts": 0}))
signal.signal(signal.SIGALRM, late)
client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])
except KeyboardInterrupt: print("given up")
