import inspect, urllib3.connectionpool as c
f = c.HTTPConnectionPool._make_request
print(inspect.isfunction(f), f.__qualname__, f.__module__, inspect.signature(f), inspect.getsource(f)[:20], c.HTTPConnectionPool.urlopen.__code__.co_name)
print(inspect.getsourcefile(c), c.__loader__ is c.__spec__.loader, c.__loader__.__class__.__module__)
# A test's mock with the signature of the method gets the pool, and the method is what it was after it.
from unittest import mock
pool = urllib3.connectionpool.HTTPConnectionPool
with mock.patch.object(pool, "_make_request", autospec=True) as made:
    made.side_effect = lambda self, *a, **k: print(type(self).__name__, a[1:], sorted(k)) or 1 / 0
    try: urllib3.HTTPConnectionPool("127.0.0.1", 1).urlopen("GET", "/v2/clock", retries=False)
    except ZeroDivisionError: print("divided")
found = vars(pool)["_make_request"]
print(inspect.isfunction(found), found.__name__, found.__qualname__, found.__module__, inspect.signature(found) == inspect.signature(pool._make_request), callable(found))
