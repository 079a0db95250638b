import inspect, urllib3.connectionpool as c
f = c.HTTPConnectionPool._make_request
print(inspect.isfunction(f), f.__qualname__, f.__module__, inspect.signature(f), inspect.getsource(f)[:20], c.HTTPConnectionPool.urlopen.__code__.co_name)
print(inspect.getsourcefile(c), c.__loader__ is c.__spec__.loader, c.__loader__.__class__.__module__)
