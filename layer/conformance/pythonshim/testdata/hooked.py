import os, wrapt
@wrapt.when_imported("urllib3.connectionpool")
def f(m): print("hook ran")
import requests; print(requests.get(os.environ["API"] + "/v2/clock").status_code)
