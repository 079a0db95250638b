import os, subprocess, sys
print(sys.path, os.environ.get("PYTHONPATH"), sys.flags, sys.argv)
print(subprocess.run([sys.executable, "-c", "import os, sys; print(sys.path, os.environ.get('PYTHONPATH'), 'sitecustomize' in sys.modules)"], stdout=subprocess.PIPE).stdout.decode())
try:
    import moda; print("moda", moda.__file__)
except ImportError as e: print(e)
try:
    import sitecustomize; print(sitecustomize.__file__)
except ImportError as e: print(e.name)
