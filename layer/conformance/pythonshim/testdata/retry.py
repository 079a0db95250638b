import os, urllib3
from urllib3.util import Retry
r = urllib3.PoolManager().request("GET", os.environ["API"] + "/v2/limited", retries=Retry(total=2, backoff_factor=0, status_forcelist=[429], raise_on_status=False))
print(r.status)
