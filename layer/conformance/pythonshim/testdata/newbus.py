# PutEvents and PutRawEvents on a new custom bus by boto3. PUTS names the calls, ENTRIES how many entries each has, SIZE how long a detail is,
# SYSTEM the system metadata of each entry, MORE more arguments, CONFIG the client's Config, CODE more of its arguments, AIO has aioboto3 make them.
import asyncio, copy, datetime, json, os, sys, traceback
import boto3, botocore.config
BUS = os.environ.get("BUS_ARN") or "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7"
env = lambda name, otherwise: json.loads(os.environ.get(name, otherwise))
arguments = dict({"config": botocore.config.Config(**dict({"retries": {"mode": "standard", "max_attempts": 3}}, **env("CONFIG", "{}")))}, **env("CODE", "{}"))
detail = json.dumps({"event_id": "order-1", "t": "< \u00fcn\u00ef \U0001f600", "x": "y" * env("SIZE", "1")}, ensure_ascii=False)
def entry(name, n):
    system = env("SYSTEM", "{}")
    if name == "put_raw_events":
        content = ("application/json", detail.encode()) if n % 2 == 0 else ("application/octet-stream", bytes(range(256)))
        return {"Data": content[1], "Metadata": {"tenant": "t-1"}, "SystemMetadata": dict({"ContentType": content[0]}, **system)}
    e = {"Source": "shop", "DetailType": "OrderPlaced", "Detail": detail, "Resources": ["arn:aws:s3:::b"], "Time": datetime.datetime(2026, 11, 27, 10, tzinfo=datetime.timezone.utc)}
    return dict(e, **({"SystemMetadata": system} if system else {}))
# The requests that the recorded bytes of AWS's clients are of.
RECORDED = {
    "put_events": [{"Source": "shop", "DetailType": "OrderPlaced", "Detail": '{"event_id":"order-1","\u00fc":"\u2713"}', "Resources": ["arn:aws:s3:::b"],
                    "Time": datetime.datetime(2026, 11, 27, 10, tzinfo=datetime.timezone.utc), "SystemMetadata": {"EventGroupId": "customer-7"}}, {"Source": "shop", "DetailType": "OrderPaid", "Detail": "{}"}],
    "put_raw_events": [{"Data": b'{"event_id":"order-1","event_type":"OrderPlaced"}', "Metadata": {"tenant": "t-1"}, "SystemMetadata": {"ContentType": "application/json"}},
                       {"Data": b"\x00\xff", "SystemMetadata": {"ContentType": "application/octet-stream", "EventGroupId": "customer-7"}}],
}
def request(name):
    if os.environ.get("HOW") == "recorded":
        return {"EventBusArn": "arn:aws:events:eu-central-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwx7", "Entries": RECORDED[name]}
    return dict({"EventBusArn": BUS, "Entries": [entry(name, n) for n in range(env("ENTRIES", "1"))]}, **env("MORE", "{}"))
def taken(r): print(r.get("FailedEntryCount"), r["Entries"], r["ResponseMetadata"]["HTTPStatusCode"], r["ResponseMetadata"]["RetryAttempts"])
def raised(e):
    while e is not None:
        print(type(e).__name__, str(e)[:300], [(os.path.basename(f.filename), f.name) for f in traceback.extract_tb(e.__traceback__)]); e = e.__cause__
def blocking():
    global client
    client = boto3.client("eventbridgev2", **arguments)
    for name, handler in HANDLERS.items():
        if os.environ.get("HANDLER") == name: client.meta.events.register_first("before-call.eventbridgev2", handler)
    for name in env("PUTS", '["put_events"]'):
        given = request(name)
        before = copy.deepcopy(given)
        try: taken(getattr(client, name)(**given))
        except Exception as e: raised(e)
        print(given == before)
    if os.environ.get("OTHERS"):
        for call in (client.list_event_buses, lambda: client.describe_event_bus(EventBusArn=BUS), lambda: client.create_event_bus(Name="orders", ClientToken="t")):
            try: print(sorted(call()))
            except Exception as e: print(type(e).__name__, e)
async def waiting():
    import aioboto3
    async with aioboto3.Session().client("eventbridgev2", **arguments) as client:
        for name in env("PUTS", '["put_events"]'):
            try: taken(await getattr(client, name)(**request(name)))
            except Exception as e: raised(e)
def zipped(params, **_):
    import gzip
    params["body"] = gzip.compress(params["body"], mtime=0)
    params["headers"]["content-encoding"] = "gzip"
def streamed(params, **_):
    import io
    params["body"] = io.BytesIO(params["body"])
def spelt(params, **_): params["headers"]["smithy-protocol"] = "rpc-v2-json"
HANDLERS = {"zipped": zipped, "streamed": streamed, "spelt": spelt}
try:
    if os.environ.get("AIO"):
        from aiobotocore.config import AioConfig
        arguments["config"] = AioConfig(retries={"mode": "standard", "max_attempts": 3})
        asyncio.run(waiting())
    else: blocking()
except Exception as e: raised(e)
