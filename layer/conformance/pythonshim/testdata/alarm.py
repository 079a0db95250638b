# A deadline of the user's, as a signal handler: while a call waits for the API.
import os, signal, requests, traceback
class Deadline(Exception): pass
def late(*_): raise Deadline("now")
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try: requests.get(os.environ["API"] + "/never")
except Deadline as e: print(e, [f.name for f in traceback.extract_tb(e.__traceback__)][-1])
