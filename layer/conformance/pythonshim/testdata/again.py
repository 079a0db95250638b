# The module is imported a second time under its name, as test runners do.
import os, sys, urllib3
print(urllib3.PoolManager().request("GET", os.environ["API"] + "/v2/clock").status)
for name in [n for n in sys.modules if n.partition(".")[0] == "urllib3"]: del sys.modules[name]
import urllib3 as other
print(other is urllib3, other.PoolManager().request("GET", os.environ["API"] + "/v2/clock").status)
