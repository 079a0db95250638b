# PutEvents by boto3. CODE has the client's arguments, CONFIG those of its Config, SHARED the shared config file, ENTRY more of an entry, PAUSES the seconds before calls.
import copy, json, os, sys, time, traceback
import boto3, botocore.config
if os.environ.get("SHARED"):
    open(os.path.expanduser("~/config"), "w").write(os.environ["SHARED"])
    os.environ["AWS_CONFIG_FILE"] = os.path.expanduser("~/config")
def put(client, entries):
    given = copy.deepcopy(entries)
    try:
        r = client.put_events(Entries=entries, **json.loads(os.environ.get("MORE", "{}")))
        print(r["FailedEntryCount"], r["Entries"], r["ResponseMetadata"]["HTTPStatusCode"], r["ResponseMetadata"]["RetryAttempts"])
    except Exception as e:
        while e is not None:
            print(type(e).__name__, e, [(os.path.basename(f.filename), f.name) for f in traceback.extract_tb(e.__traceback__)]); e = e.__cause__
    print(entries == given)
if __name__ == "__main__":
    client = boto3.client("events", config=botocore.config.Config(**dict({"retries": {"max_attempts": 3}}, **json.loads(os.environ.get("CONFIG", "{}")))), **json.loads(os.environ.get("CODE", "{}")))
    sizes = json.loads(os.environ.get("SIZES", "[1]"))
    for pause in json.loads(os.environ.get("PAUSES", "[" + ",".join(["0"] * int(os.environ.get("CALLS", "1"))) + "]")):
        time.sleep(pause)
        put(client, [dict({"Source": "s", "DetailType": "T", "Detail": json.dumps({"n": 12345678901234567890, "t": "< \u00fcn\u00ef \U0001f600", "x": "y" * n})}, **json.loads(os.environ.get("ENTRY", "{}"))) for n in sizes])
