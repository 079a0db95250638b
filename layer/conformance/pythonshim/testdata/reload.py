import os, importlib, urllib3, urllib3.connectionpool, requests
importlib.reload(urllib3.connectionpool)
print(requests.get(os.environ["API"] + "/v2/clock").status_code)
port = int(os.environ["API"].rpartition(":")[2])
print(urllib3.connectionpool.HTTPConnectionPool("127.0.0.1", port).urlopen("GET", "/v2/clock").status)
