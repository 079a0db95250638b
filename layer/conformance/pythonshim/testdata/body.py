# A body that fails: the error is the user's.
import os, traceback, requests
def body():
    yield b"a"
    raise ValueError("the user's own")
try: requests.post(os.environ["API"] + "/v2/orders", data=body())
except ValueError as e: print(e, [(os.path.basename(f.filename), f.name, f.lineno) for f in traceback.extract_tb(e.__traceback__)], e.__context__)
