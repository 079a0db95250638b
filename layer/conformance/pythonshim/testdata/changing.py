# Handlers of the user's that change what is sent, and what comes back.
import boto3, json
from put import put
client = boto3.client("events")
def params(params, **_): return dict(params, Entries=[dict(e, Source="changed") for e in params["Entries"]])
def body(params, **_):
    entries = json.loads(params["body"]); entries["Entries"].append({"Source": "added", "DetailType": "T", "Detail": "{}"})
    params["body"] = json.dumps(entries).encode()
def header(request, **_): request.headers["X-Mine"] = "1"
def parsed(parsed, context, **_): parsed["Mine"] = sorted(k for k in context if k == "throughline"); print(parsed["Mine"])
client.meta.events.register("provide-client-params.eventbridge.PutEvents", params)
client.meta.events.register("before-call.eventbridge.PutEvents", body)
client.meta.events.register("before-sign.eventbridge.PutEvents", header)
client.meta.events.register_first("after-call.eventbridge.PutEvents", parsed)
put(client, [{"Source": "s", "DetailType": "T", "Detail": "{}"}])
