import os, sys, importlib.util
spec = importlib.util.find_spec("urllib3.connectionpool")
print(spec.name, os.path.basename(spec.origin), spec.loader.is_package(spec.name), len(spec.loader.get_data(spec.origin)) > 1000)
import importlib
for name in [n for n in sys.modules if n.partition(".")[0] == "urllib3"]: del sys.modules[name]
spec = importlib.util.find_spec("urllib3")
print(importlib.import_module("urllib3.connectionpool").HTTPConnectionPool.__module__)
import urllib3; print(urllib3.PoolManager().request("GET", os.environ["API"] + "/v2/clock").status)
