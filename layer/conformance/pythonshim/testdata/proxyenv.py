import os, requests
os.environ["HTTP_PROXY"] = os.environ["http_proxy"] = os.environ["PROXY"]
print(requests.get("http://api.example.test/v2/clock?x=1").status_code)
