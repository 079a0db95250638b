# A module that fails while it is imported: the traceback is the user's.
import os, sys, tempfile
folder = tempfile.mkdtemp(); os.mkdir(folder + "/urllib3")
open(folder + "/urllib3/__init__.py", "w").write("from . import connectionpool\n")
open(folder + "/urllib3/connectionpool.py", "w").write(os.environ["BREAK"] + "\n")
sys.path.insert(0, folder)
import traceback
try: import urllib3
except BaseException as e:
    for f in traceback.extract_tb(e.__traceback__): print(os.path.basename(f.filename), f.name, f.lineno)
    print(type(e), e)
