# Handlers of the user's at every stage, in every section, by every name: all are called, in the order that they would be.
import boto3
from put import put
order = []
stages = ["provide-client-params", "before-parameter-build", "before-call", "request-created", "choose-signer", "before-sign", "before-send", "response-received", "needs-retry", "after-call", "after-call-error"]
def note(label):
    def handler(**kwargs): order.append(label + " " + ",".join(sorted(k for k in kwargs)))
    return handler
session = boto3.session.Session()
client = session.client("events")
for stage in stages:
    for suffix in ("", ".eventbridge", ".eventbridge.PutEvents", ".*", ".*.*", ".*.PutEvents", ".events.PutEvents"):
        for section in ("register", "register_first", "register_last"):
            for where, emitter in (("client", client.meta.events), ("session", session.events)):
                getattr(emitter, section)(stage + suffix, note(" ".join((where, section, stage + suffix))))
put(client, [{"Source": "s", "DetailType": "T", "Detail": "{}"}])
put(session.client("events"), [{"Source": "s", "DetailType": "T", "Detail": "{}"}])
print("\n".join(order))
