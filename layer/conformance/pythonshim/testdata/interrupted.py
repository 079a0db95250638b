# A signal handler of the user's that raises while the shim waits for the extension.
import boto3, builtins, os, signal, traceback
class Mine(Exception): pass
kind = Mine if os.environ["KIND"] == "Mine" else getattr(builtins, os.environ["KIND"])
def late(*_): raise kind("the user's own")
client = boto3.client("events")
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try: client.put_events(Entries=[{"Source": "s", "DetailType": "T", "Detail": "{}"}])
except BaseException as e: print(type(e).__name__, e, [f.name for f in traceback.extract_tb(e.__traceback__) if "throughline_shim" in f.filename])
else: print("swallowed")
