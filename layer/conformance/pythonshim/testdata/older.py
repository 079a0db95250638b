from __future__ import print_function
import os, sys
print(sys.path, os.environ.get("PYTHONPATH"), "sitecustomize" in sys.modules, "shim" if "throughline_shim" in sys.modules else "no shim")
