# A function beside tracers: what they see is the same, and no call of the shim's.
import os, re, sys
wanted = os.environ["TRACERS"].split(",")
shown = []
ours = os.environ["AWS_LAMBDA_RUNTIME_API"]
if "sentry" in wanted:
    import sentry_sdk
    from sentry_sdk.transport import Transport
    class Kept(Transport):
        def capture_envelope(self, envelope):
            for item in envelope.items:
                event = item.get_transaction_event() or {}
                for span in event.get("spans", ()): shown.append(("sentry", span.get("op"), span.get("description")))
                for crumb in (event.get("breadcrumbs") or {}).get("values", ()): shown.append(("crumb", crumb.get("category"), (crumb.get("data") or {}).get("url")))
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, traces_sample_rate=1.0, default_integrations=True, auto_session_tracking=False)
if "xray" in wanted:
    from aws_xray_sdk.core import xray_recorder, patch
    class Emitter:
        def send_entity(self, entity):
            def walk(e, depth):
                shown.append(("xray", depth, e.name, ((e.http or {}).get("request") or {}).get("url"), (e.aws or {}).get("operation")))
                for s in e.subsegments: walk(s, depth + 1)
            walk(entity, 0)
        def set_daemon_address(self, address): pass
    xray_recorder.configure(emitter=Emitter(), sampling=False, context_missing="LOG_ERROR", streaming_threshold=1000)
    patch(["httplib", "requests", "botocore"])
if "otel" in wanted:
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    class Exporter(SpanExporter):
        def export(self, spans):
            for s in spans: shown.append(("otel", s.name, str(s.kind), s.attributes.get("http.url"), s.attributes.get("rpc.method")))
            return SpanExportResult.SUCCESS
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(Exporter()))
if "ddtrace" in wanted:
    import ddtrace
    try: from ddtrace.trace import tracer, TraceFilter
    except ImportError: from ddtrace import tracer; from ddtrace.filters import TraceFilter
    class Filter(TraceFilter):
        def process_trace(self, trace):
            for s in trace: shown.append(("ddtrace", s.name, s.resource, s.get_tag("http.url")))
    try: tracer.configure(trace_processors=[Filter()])
    except TypeError: tracer.configure(settings={"FILTERS": [Filter()]})
import requests, urllib3, boto3
from urllib3.util import Retry
api = os.environ["API"]
def work():
    print(requests.get(api + "/v2/clock").status_code)
    print(urllib3.PoolManager().request("GET", api + "/v2/limited", retries=Retry(total=1, backoff_factor=0, status_forcelist=[429], raise_on_status=False)).status)
    print(boto3.client("events").put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])["Entries"])
    try: requests.get(api + "/close")
    except requests.ConnectionError as e: print(type(e).__name__)
if "xray" in wanted: xray_recorder.begin_segment("fn")
if "sentry" in wanted:
    with sentry_sdk.start_transaction(name="fn"): work()
else: work()
if "xray" in wanted: xray_recorder.end_segment()
if "newrelic" in wanted:
    import newrelic.agent
    print("newrelic", type(vars(urllib3.connectionpool.HTTPConnectionPool)["urlopen"]).__name__)
for line in shown: print(line)
print("calls of the shim's:", [line for line in shown if ours in str(line)])
