# The caller's own headers, objects and connection are what they were.
import os, requests, urllib3
h = {"Traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "x-correlation-id": "mine"}
print(requests.get(os.environ["API"] + "/v2/clock", headers=h).status_code, sorted(h))
p = urllib3.PoolManager(headers={"A": "b"})
print(p.request("GET", os.environ["API"] + "/redirect").status, p.headers)
d = urllib3.HTTPConnectionPool("127.0.0.1", int(os.environ["API"].rpartition(":")[2]))
g = {"Q": "r"}
print(d.urlopen("POST", "/v2/orders", body=b"x", headers=g).status, g, d.num_requests, d.num_connections)
r = requests.get(os.environ["API"] + "/v2/clock"); print(sorted(r.request.headers))
