"""What Lambda's own /var/runtime/bootstrap does: starts the runtime client that lies in RUNTIME_DIR."""

import os
import sys

sys.path.insert(0, os.environ["RUNTIME_DIR"])
sys.path.insert(0, os.getcwd())

import awslambdaric.__main__  # noqa: E402

awslambdaric.__main__.main(["awslambdaric", os.environ["_HANDLER"]])
