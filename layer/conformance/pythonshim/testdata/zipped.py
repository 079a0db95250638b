# urllib3 in a zip, whose loader has no exec_module before Python 3.10.
import os, sys, tempfile, zipfile, importlib.util
folder = os.path.dirname(importlib.util.find_spec("urllib3").origin)
archive = os.path.join(tempfile.mkdtemp(), "packages.zip")
with zipfile.ZipFile(archive, "w") as z:
    for base, _, files in os.walk(folder):
        for name in files:
            if name.endswith(".py"): z.write(os.path.join(base, name), os.path.relpath(os.path.join(base, name), os.path.dirname(folder)))
sys.path.insert(0, archive)
import urllib3.connectionpool
print(".zip" in urllib3.connectionpool.__file__, type(urllib3.connectionpool.__loader__).__name__, type(urllib3.connectionpool.__spec__.loader).__name__)
sys.path.remove(archive)
print(urllib3.PoolManager().request("GET", os.environ["API"] + "/v2/clock").status)
