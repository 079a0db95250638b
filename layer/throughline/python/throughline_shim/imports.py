"""Patches a module after the function has imported it.

A finder at the front of sys.meta_path asks the other finders for the module. It
gives the import system a loader that wraps the loader found: it loads the module
and then patches it. The module and its spec name the loader found, as without the shim.
"""

from _thread import get_ident
from importlib import import_module
from importlib._bootstrap import _find_spec  # asks the finders of sys.meta_path in turn, whatever protocol they follow

from .faults import own
from .frameless import frameless


class Finder:
    """Patches the modules that are keys of parts. Safe for concurrent use."""

    def __init__(self, package, parts):
        self._package = package
        self._parts = parts
        self._looking = set()
        self.find_spec = frameless(self._find)

    def patch(self, module, name):
        """Patches a module that is loaded. Its own errors are not raised."""
        for part in self._parts[name]:
            try:
                import_module(self._package + "." + part).patch(module)
            except Exception as error:
                if not own(error):
                    raise

    def _find(self, name, path=None, target=None):
        # Another tracer's finder asks all finders again, this one included.
        looking = (get_ident(), name)
        if name not in self._parts or looking in self._looking:
            return None
        self._looking.add(looking)
        try:
            spec = _find_spec(name, path, target)
        finally:
            self._looking.discard(looking)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec, self)
        return spec


class _Loader:
    """The loader of one spec. When it loads the module, it becomes a copy of the loader found."""

    def __init__(self, spec, finder):
        self._loader = spec.loader
        self._spec = spec
        self._finder = finder

    def __getattr__(self, name):
        # Loaders without exec_module, such as zipimport's before Python 3.10, have load_module.
        value = getattr(self._loader, name)
        if name == "exec_module":
            return frameless(self._exec)
        if name == "load_module":
            return frameless(self._load)
        return value

    def _leave(self, module):
        if self._spec.loader is self:
            self._spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        # Another tracer's loader may hold this one and set it as the module's loader afterwards.
        try:
            state = dict(vars(self._loader))
            self.__class__ = type(self._loader)
        except TypeError:  # the loader's class is not written in Python
            return
        vars(self).clear()
        vars(self).update(state)

    def _exec(self, module):
        loader, finder, name = self._loader, self._finder, self._spec.name
        self._leave(module)
        loader.exec_module(module)
        finder.patch(module, name)

    def _load(self, name):
        loader, finder = self._loader, self._finder
        self._leave(None)
        module = loader.load_module(name)
        finder.patch(module, name)
        return module
