"""Takes plans from a queue, places an order a symbol, and tells of each."""

import json
import os

import urllib3

from bus import publish

ALPACA = os.environ.get("ALPACA_URL", "https://paper-api.alpaca.markets")
http = urllib3.PoolManager()


def handle(batch, context):
    failed = []
    for record in batch["Records"]:
        plan = json.loads(record["body"])["detail"]
        try:
            for symbol in plan["symbols"]:
                order = {"symbol": symbol, "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
                response = http.request("POST", ALPACA + "/v2/orders", body=json.dumps(order), timeout=10)
                if response.status != 200:
                    raise RuntimeError("order of %s: %d" % (symbol, response.status))
                publish("trading.execution", "TradeExecuted", plan["correlation_id"], causation_id=plan["event_id"], symbol=symbol)
        except Exception as error:
            print("plan %s: %s" % (plan["event_id"], error))
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
