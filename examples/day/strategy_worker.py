"""Plans the trades of one strategy. SELLs go to the queue at once; BUYs wait in
the table until the last SELL is done, or go to the queue where there is none."""

import json
import uuid

import desk


def handle(event, context):
    correlation_id, strategy_id = event["correlation_id"], event["strategy_id"]
    strategy = next(s for s in desk.plan()["strategies"] if s["id"] == strategy_id)
    if strategy.get("dies"):
        raise MemoryError("the indicators of %s do not fit" % strategy_id)
    sent = []
    if strategy.get("stale"):
        sent.append(refresh("SPY"))
    trades = strategy["trades"]
    if not trades:
        return {"statusCode": 200, "sent": sent + desk.strategy_done(correlation_id, correlation_id)}
    run_id = "run-%s" % uuid.uuid4()
    messages = [{
        "run_id": run_id, "trade_id": "trade-%s" % uuid.uuid4(), "plan_id": "plan-" + strategy_id, "correlation_id": correlation_id,
        "causation_id": correlation_id, "strategy_id": strategy_id, "symbol": t["symbol"], "action": t["action"], "trade_amount": "1250.00",
        "phase": t["action"], "sequence_number": n, "poison": t.get("poison", False), "run": {"trades": len(trades)},
    } for n, t in enumerate(trades)]
    sells = [m for m in messages if m["action"] == "SELL"]
    buys = [m for m in messages if m["action"] == "BUY"]
    if sells:
        desk.put("buys#" + run_id, buys)
        desk.count("run#" + run_id, "sells", len(sells))
    return {"statusCode": 200, "sent": sent + [desk.enqueue(m) for m in sells or buys]}


def refresh(symbol):
    """Asks the data function for prices and waits: a direct invocation that is
    shaped like an event and begins a correlation of its own."""
    answer = desk.client("lambda").invoke(FunctionName="data", InvocationType="RequestResponse", Payload=json.dumps({
        "detail-type": "MarketDataFetchRequested", "source": "alchemiser.strategy",
        "detail": {"correlation_id": "sync-refresh-" + symbol, "event_id": "fetch-request-%s" % uuid.uuid4(), "symbol": symbol},
    }))
    answer["Payload"].read()
    return ["lambda", answer["ResponseMetadata"]["RequestId"]]
