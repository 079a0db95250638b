"""A shop in Flask that knows nothing of Throughline: its spans are those of
OpenTelemetry's distribution. It asks the stock that STOCK_URL names.

    pip install -r requirements.txt
    export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
    OTEL_SERVICE_NAME=shop opentelemetry-instrument flask --app app run --port 5001
    curl http://127.0.0.1:5001/orders/tea
"""

import os
import urllib.request

from flask import Flask

app = Flask(__name__)


@app.get("/orders/<item>")
def order(item):
    stock = os.environ.get("STOCK_URL")
    if not stock:
        return f"{item} is ordered\n"
    with urllib.request.urlopen(f"{stock}/stock/{item}", timeout=5) as answer:
        return f"{item} is ordered: {answer.read().decode()}\n"
