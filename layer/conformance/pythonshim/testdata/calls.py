import os, threading, requests, urllib3
api = os.environ["API"]
print(requests.get(api + "/v2/account?secret=1", headers={"APCA-API-KEY-ID": "k"}).status_code)
print(requests.Session().post(api + "/v2/orders", json={"symbol": "AAPL"}).status_code)
print(urllib3.PoolManager().request("GET", api + "/v2/limited", retries=False).status)
t = threading.Thread(target=lambda: print(requests.get(api + "/v2/clock").status_code)); t.start(); t.join()
print(requests.get(os.environ["APIS"] + "/v2/clock", verify=os.environ["CA"]).status_code)
