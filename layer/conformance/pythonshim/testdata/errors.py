# Tracebacks of what fails: frames, causes and contexts.
import os, traceback, requests, urllib3, warnings
api = os.environ["API"]
def show(e, seen=()):
    while e is not None and e not in seen:
        print(type(e).__name__, [(os.path.basename(f.filename), f.name, f.lineno) for f in traceback.extract_tb(e.__traceback__)], e.__suppress_context__)
        seen += (e,); e = e.__cause__ or e.__context__
for call in (
    lambda: requests.get("http://127.0.0.1:1/"),
    lambda: requests.get(api + "/never", timeout=0.2),
    lambda: requests.get(api + "/reset"),
    lambda: requests.get(api + "/close"),
    lambda: requests.get(api + "/garbage"),
    lambda: requests.get(api + "/half"),
    lambda: requests.get(os.environ["APIS"] + "/v2/clock"),
    lambda: urllib3.PoolManager().request("GET", api + "/close", retries=urllib3.util.Retry(total=1, backoff_factor=0)),
    lambda: requests.get(api + "/v2/clock", headers={"a": "b\nc"}),
    lambda: requests.get(api + "/v2/clock", headers={1: "b"}),
):
    try: print(call().status_code)
    except Exception as e: show(e)
