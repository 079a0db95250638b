"""A Lambda runtime for Python that does as AWS's runtime client, awslambdaric, does:
handlers, errors, context and log lines. What is not played: SnapStart's hooks and
Managed Instances."""

import decimal
import http.client
import importlib
import json
import logging
import math
import os
import sys
import time
import traceback

import throughline_dev_guard

TASK_ROOT = os.environ["LAMBDA_TASK_ROOT"]
OPT = os.environ.pop("_DEV_OPT", "/opt")

if "PYTHONPATH" not in os.environ:
    sys.path.insert(0, os.path.join(OPT, "python", "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
    sys.path.insert(0, os.path.join(OPT, "python"))
sys.path[:] = [p for p in sys.path if p != os.path.dirname(os.path.abspath(__file__))]
sys.path.insert(0, TASK_ROOT)


class Fault(Exception):
    """What is wrong with the function before or after its handler runs."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind, self.trace = kind, trace


class Fields:
    """Members of a JSON object as attributes, None where there is none."""

    def __init__(self, names, values):
        for name in names:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, self.__dict__)


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self.tenant_id = headers.get("Lambda-Runtime-Aws-Tenant-Id")
        given = parsed(headers.get("Lambda-Runtime-Client-Context"), "Client Context")
        self._w3c = {}
        if isinstance(given, dict) and isinstance(given.get("w3c"), dict):
            w3c = given.pop("w3c")
            self._w3c = {k: w3c[k] for k in ("traceparent", "tracestate", "baggage") if isinstance(w3c.get(k), str)}
        self.client_context = None
        if given is not None:
            self.client_context = Fields(("custom", "env", "client"), given)
            if self.client_context.client is not None:
                names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
                self.client_context.client = Fields(names, self.client_context.client)
        identity = parsed(headers.get("Lambda-Runtime-Cognito-Identity"), "Cognito Identity") or {}
        self.identity = Fields((), {})
        self.identity.cognito_identity_id = identity.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")
        self._deadline = int(headers.get("Lambda-Runtime-Deadline-Ms") or 0)

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def w3c(self):
        return dict(self._w3c)

    def log(self, message):
        sys.stdout.write(str(message))


def parsed(text, name):
    if not text:
        return None
    try:
        return json.loads(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error))


class Encoder(json.JSONEncoder):
    """Writes decimals as numbers."""

    def __init__(self):
        escaped = os.environ.get("AWS_EXECUTION_ENV") in ("AWS_Lambda_python%s" % v for v in ("3.8", "3.9", "3.10", "3.11"))
        super().__init__(ensure_ascii=escaped)
        self.decimals = {}

    def default(self, value):
        if not isinstance(value, decimal.Decimal):
            return super().default(value)
        if value.is_nan():
            return math.nan
        mark = "decimal %d of %x" % (len(self.decimals), id(self))
        self.decimals[mark] = str(value)
        return mark

    def encode(self, value):
        text = super().encode(value)
        for mark, number in self.decimals.items():
            text = text.replace('"%s"' % mark, number, 1)
        return text


def load(handler):
    module, dot, name = handler.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler)
    if module.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module)
    try:
        found = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module, error))
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, error), trace)
    try:
        return getattr(found, name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (name, module))


def described(error, request=""):
    """An error as Lambda's callers get it."""
    if isinstance(error, Fault):
        message, kind, trace = str(error), error.kind, error.trace or []
    else:
        frames = traceback.extract_tb(error.__traceback__)
        while frames and frames[0].filename == __file__:
            frames.pop(0)
        lines = traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])
        message, kind, trace = str(error), type(error).__name__, lines
    return {"errorMessage": message, "errorType": kind, "requestId": request, "stackTrace": trace}


JSON_LOG = (os.environ.get("AWS_LAMBDA_LOG_FORMAT") or "").upper() == "JSON"
current = {"request": "", "tenant": None}


def log_error(error):
    if JSON_LOG:
        print(json.dumps({"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": "ERROR", **error}), flush=True)
        return
    lines = [": ".join(["[ERROR] " + error["errorType"]] + ([error["errorMessage"]] if error["errorMessage"] else [])), "Traceback (most recent call last):"]
    for entry in error["stackTrace"]:
        for line in entry.splitlines() or [""]:
            lines.append("\u00a0" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" "))
    print("\r".join(lines), flush=True)


class Handler(logging.Handler):
    def emit(self, record):
        record.aws_request_id = current["request"]
        sys.stdout.write(self.format(record))
        sys.stdout.flush()


STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "aws_request_id"}


class JSONFormatter(logging.Formatter):
    def format(self, record):
        record.levelno = min(50, max(0, record.levelno)) // 10 * 10
        plain = isinstance(record.msg, dict) and not record.args
        entry = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"), "level": logging.getLevelName(record.levelno),
            "message": record.msg if plain else record.getMessage(), "logger": record.name,
            "stackTrace": None, "errorType": None, "errorMessage": None, "requestId": record.aws_request_id, "location": None,
        }
        if record.exc_info:
            entry["stackTrace"] = traceback.format_tb(record.exc_info[2])
            entry["errorType"] = record.exc_info[0] and record.exc_info[0].__name__
            entry["errorMessage"] = str(record.exc_info[1])
            entry["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        entry["tenantId"] = current["tenant"]
        entry.update((k, v) for k, v in vars(record).items() if k not in STANDARD and k not in entry)
        return json.dumps({k: v for k, v in entry.items() if v is not None}, ensure_ascii=False, default=str) + "\n"


def set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = Handler()
    handler.setFormatter(JSONFormatter() if JSON_LOG else logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    level = (os.environ.get("AWS_LAMBDA_LOG_LEVEL") or "").upper()
    level = "DEBUG" if level == "TRACE" else level
    if level in logging._nameToLevel:
        root.setLevel(level)


def invoke(handle, headers, body):
    """The answer of one invocation: its path's end, its body and its headers."""
    request = headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        context = Context(headers)
        kind = headers.get("Content-Type", "application/json")
        if kind == "application/json":
            try:
                body = json.loads(body)
            except Exception as error:
                raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handle(body, context)
        if isinstance(result, bytes):
            return "response", result, {"Content-Type": "application/unknown"}
        try:
            return "response", Encoder().encode(result).encode(), {"Content-Type": "application/json"}
        except Exception as error:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
    except Exception as error:
        told = described(error, request)
        log_error(told)
        return "error", json.dumps(told).encode(), {"Content-Type": "application/json"}


def main():
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))

    def call(method, path, body=None, headers=None):
        connection.request(method, "/2018-06-01/runtime/" + path, body, headers or {})
        response = connection.getresponse()
        return response.headers, response.read()

    set_up_logging()
    throughline_dev_guard.on()
    try:
        handle = load(os.environ["_HANDLER"])
    except Exception as error:
        told = described(error)
        log_error(told)
        call("POST", "init/error", json.dumps(told).encode(), {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": told["errorType"]})
        sys.exit(1)
    while True:
        headers, body = call("GET", "invocation/next")
        current["request"], current["tenant"] = headers["Lambda-Runtime-Aws-Request-Id"], headers.get("Lambda-Runtime-Aws-Tenant-Id")
        if headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        end, answer, about = invoke(handle, headers, body)
        call("POST", "invocation/%s/%s" % (current["request"], end), answer, about)


if __name__ == "__main__":
    main()
