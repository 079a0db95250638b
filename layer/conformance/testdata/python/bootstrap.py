"""A Lambda runtime for Python, with the rule of Lambda's own bootstrap.py: the
folders of the layers are added to sys.path only where PYTHONPATH is absent."""

import http.client
import importlib
import json
import os
import sys
import traceback

TASK_ROOT = os.environ["LAMBDA_TASK_ROOT"]
OPT = os.environ.get("TEST_OPT", "/opt")

if "PYTHONPATH" not in os.environ:
    sys.path.insert(0, os.path.join(OPT, "python", "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
    sys.path.insert(0, os.path.join(OPT, "python"))
sys.path.insert(0, TASK_ROOT)


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]


def main():
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    try:
        handle = getattr(importlib.import_module(module), name)
    except BaseException as error:
        body = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": traceback.format_exc().splitlines()})
        connection.request("POST", "/2018-06-01/runtime/init/error", body, {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"})
        connection.getresponse().read()
        sys.exit(1)
    while True:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        response = connection.getresponse()
        event = json.loads(response.read())
        context = Context(response.headers)
        if response.headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = response.headers["Lambda-Runtime-Trace-Id"]
        base = "/2018-06-01/runtime/invocation/%s/" % context.aws_request_id
        try:
            answer = json.dumps(handle(event, context))
        except BaseException as error:
            body = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": traceback.format_exc().splitlines()})
            connection.request("POST", base + "error", body, {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": type(error).__name__})
        else:
            connection.request("POST", base + "response", answer, {"Content-Type": "application/json"})
        connection.getresponse().read()


main()
