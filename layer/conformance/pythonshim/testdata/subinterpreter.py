import os, sys, subprocess
try: import _interpreters as I
except ImportError: import _xxsubinterpreters as I
import moda
i = I.create()
r = I.run_string(i, """
import sys, os
try:
  import moda; print('sub ok')
except Exception as e: print('sub', repr(e))
print('sub sees', os.environ.get('PYTHONPATH'), [p for p in sys.path if 'site-packages' not in p], 'sitecustomize' in sys.modules, flush=True)
""")
if r: print("result", r)
print("child:", subprocess.run([sys.executable, "-c", "import moda; print('child ok')"], stdout=subprocess.PIPE).stdout.decode())
