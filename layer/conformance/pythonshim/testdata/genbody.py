import os, requests
api = os.environ["API"]
def gen():
    yield b"a"
    yield requests.get(api + "/v2/clock").content
print(requests.post(api + "/v2/orders", data=gen()).status_code)
