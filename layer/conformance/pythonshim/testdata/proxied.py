# Another tracer's import hook, which asks every finder and proxies the loader it gets.
import importlib.util, os, sys
class Proxy:
    def __init__(self, loader): self.__dict__["loader"] = loader
    def __getattr__(self, name): return getattr(self.loader, name)
    def __setattr__(self, name, value): setattr(self.loader, name, value)
class Finder:
    busy = False
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if cls.busy or not name.startswith("urllib3"): return None
        cls.busy = True
        try: spec = importlib.util.find_spec(name)
        finally: cls.busy = False
        if spec is not None and spec.loader is not None: spec.loader = Proxy(spec.loader)
        return spec
class All:
    looking = set()
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in cls.looking: return None
        cls.looking.add(name)
        try:
            for finder in sys.meta_path:
                if finder is not cls and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None: return spec
        finally: cls.looking.discard(name)
sys.meta_path.insert(0, Finder); sys.meta_path.insert(0, All)
import requests; print(requests.get(os.environ["API"] + "/v2/clock").status_code)
