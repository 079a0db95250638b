"""Executes trades from the queue. Whoever does a run's last SELL sends the BUYs
that waited for it."""

import json

import desk


def handle(event, context):
    sent, failures = [], []
    for record in event["Records"]:
        trade = json.loads(record["body"])
        if trade["poison"] and not desk.get("mended"):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        sent += execute(trade)
    return {"batchItemFailures": failures, "sent": sent}


def execute(trade):
    sent = [desk.publish(
        "TradeExecuted", "execution", trade["correlation_id"], trade["trade_id"], success=True, orders_placed=1, orders_succeeded=1,
        execution_data={"trade_id": trade["trade_id"], "symbol": trade["symbol"], "action": trade["action"], "shares_executed": "12.5000000000", "price": "100.00"},
        metadata={"run_id": trade["run_id"], "trade_id": trade["trade_id"], "phase": trade["phase"], "trades": trade["run"]["trades"]},
    )]
    if trade["action"] == "SELL" and desk.count("run#" + trade["run_id"], "sells", -1) == 0:
        sent += [desk.enqueue(buy) for buy in desk.get("buys#" + trade["run_id"])]
    return sent
