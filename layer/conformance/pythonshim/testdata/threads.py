import os, threading, requests, concurrent.futures
api = os.environ["API"]
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    print(sorted(pool.map(lambda i: requests.get(api + "/v2/%d" % (i % 7)).status_code, range(64)))[::63])
