import gevent.monkey
gevent.monkey.patch_all()
import gevent, os, requests, boto3
api = os.environ["API"]
def call(n): return requests.get(api + "/v2/%d" % n).status_code
def put(n): return len(client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])["Entries"])
client = boto3.client("events", endpoint_url=api)
jobs = [gevent.spawn(call, n) for n in range(8)] + [gevent.spawn(put, n) for n in range(8)]
gevent.joinall(jobs); print([j.value for j in jobs])
try:
    with gevent.Timeout(0.3): requests.get(api + "/never")
except gevent.Timeout: print("given up")
victim = gevent.spawn(requests.get, api + "/never"); gevent.sleep(0.2); victim.kill(); print(type(victim.value).__name__)
