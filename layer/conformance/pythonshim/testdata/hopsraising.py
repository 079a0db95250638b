# A handler of the user's that raises, at each stage, and parameters whose own code raises.
import boto3, os, traceback
class Mine(Exception): pass
class Odd(str):
    def __len__(self): raise Mine("len")
    def encode(self, *_): raise Mine("encode")
    def __getitem__(self, _): raise Mine("getitem")
class OddDict(dict):
    def get(self, *_): raise Mine("get")
    def __getitem__(self, _): raise Mine("getitem")
def boom(**_): raise Mine("no")
def send(name, client, **more):
    try: print(name, client.send_message(**dict({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo", "MessageBody": "body"}, **more))["MessageId"])
    except BaseException as e: print(name, type(e).__name__, e, [(os.path.basename(f.filename), f.name) for f in traceback.extract_tb(e.__traceback__)])
for stage in ("provide-client-params", "before-parameter-build", "before-call", "request-created", "before-sign", "before-send", "needs-retry", "after-call", "after-call-error"):
    client = boto3.session.Session().client("sqs")
    client.meta.events.register(stage + ".sqs.SendMessage", boom)
    send(stage, client)
client = boto3.session.Session().client("sqs")
for name, more in {"len": {"MessageBody": Odd("body")}, "dict": {"MessageAttributes": OddDict()}, "queue": {"QueueUrl": Odd("https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo")}, "none": {"QueueUrl": None}}.items():
    send(name, client, **more)
