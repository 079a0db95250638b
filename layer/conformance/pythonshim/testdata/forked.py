import os, requests
api = os.environ["API"]
print(requests.get(api + "/v2/clock").status_code, flush=True)
child = os.fork()
if child == 0:
    print(requests.get(api + "/v2/child").status_code, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], requests.get(api + "/v2/clock").status_code)
