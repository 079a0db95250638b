"""Counts the trades of a run. The last one completes the strategy."""

import desk


def handle(event, context):
    detail = event["detail"]
    run = detail["metadata"]
    done = desk.count("run#" + run["run_id"], "trades")
    if done < run["trades"]:
        return {"statusCode": 200, "sent": []}
    completed = desk.publish("AllTradesCompleted", "trade_aggregator", detail["correlation_id"], run["run_id"], run_id=run["run_id"],
                             total_trades=done, succeeded_trades=done, failed_trades=0)
    return {"statusCode": 200, "sent": [completed] + desk.strategy_done(detail["correlation_id"], run["run_id"])}
