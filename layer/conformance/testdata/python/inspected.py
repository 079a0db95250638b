"""A user's function that tells what it sees of its surroundings."""

import os
import sys

import requests

import layered  # lies in another layer alone


def handle(event, context):
    response = requests.get(os.environ["ALPACA_URL"] + "/v2/clock", timeout=10)
    return {
        "path": sys.path, "environment": dict(os.environ), "layered": layered.NAME, "status": response.status_code,
        "instrumented": getattr(sys, "instrumented", None), "version": "%d.%d" % sys.version_info[:2],
    }
