import os
from alpaca.trading.client import TradingClient
c = TradingClient("k", "s", url_override=os.environ["API"], raw_data=True)
print(c.get_clock(), c.get_account())
c._session.headers["X-Mine"] = "1"
from alpaca.common.exceptions import APIError
c._retry, c._retry_wait = 1, 0
try: print(c.get("/limited"))
except Exception as e: print(type(e).__name__)
