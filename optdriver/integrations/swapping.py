"""A function of another package, exchanged for ours while a block runs."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from optdriver.errors import OptDriverError, missing_extra


@dataclass(kw_only=True, eq=False)
class Exchange:
    """One of their functions, and ours in its place.

    Attributes
    ----------
    package : str
        The package whose modules are searched; also the extra that brings it.
    home : str
        The module that defines the function.
    name : str
        The name of the function there.
    user : tuple of str
        The module that calls it, and the dotted name by which it does.
    ours : callable
        What takes its place.
    """

    package: str
    home: str
    name: str
    user: tuple[str, str]
    ours: Callable[..., Any]
    _theirs: Any = field(default=None, init=False)
    _blocks: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Exchange the two while the block runs; blocks may be nested, or run in threads."""
        with self._lock:
            if self._blocks == 0:
                self._install()
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if self._blocks == 0:
                    replace(self.package, self.ours, self._theirs)

    def _install(self) -> None:
        theirs = self._find()
        _check_signature(f"{self.home}.{self.name}", theirs, self.ours)
        self._check_user(theirs)
        self._theirs = theirs
        replace(self.package, theirs, self.ours)

    def _find(self) -> Any:
        self._module(self.package)
        home = self._module(self.home)
        if not hasattr(home, self.name):
            raise self._other_version(f"{self.home} has no {self.name}")
        return getattr(home, self.name)

    def _module(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            if isinstance(error, ModuleNotFoundError) and error.name == self.package:
                feature = f"optdriver.integrations.{self.package}.installed"
                raise missing_extra(feature, self.package, self.package) from error
            raise self._other_version(f"{name} cannot be imported ({error})") from error

    def _other_version(self, what: str) -> OptDriverError:
        return OptDriverError(
            f"{what} in this version of {self.package}; pip install 'optdriver[{self.package}]' "
            "brings one that is known to work"
        )

    def _check_user(self, theirs: Any) -> None:
        """Raise unless the function is called from where we think; load it where that is lazy."""
        module, path = self.user
        found: Any = self._module(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is not theirs:
            raise OptDriverError(
                f"{module} of this version of {self.package}, with this version of SciPy, does not "
                f"call {self.home}.{self.name}: exchanging it would change nothing"
            )


def replace(package: str, old: Any, new: Any) -> None:
    """Bind `new` wherever a loaded module of `package` has a name for `old`."""
    for namespace in _namespaces(package):
        for name, value in list(namespace.items()):
            if value is old:
                namespace[name] = new


def _namespaces(package: str) -> Iterator[dict[str, Any]]:
    """Yield the namespaces of a package: its modules, and the stand-ins of lazy imports.

    A stand-in, once used, holds its own copy of the names of the module it stands for.
    """
    for key, module in list(sys.modules.items()):
        if key.partition(".")[0] == package and isinstance(module, ModuleType):
            yield vars(module)
            for value in list(vars(module).values()):
                if isinstance(value, ModuleType) and sys.modules.get(value.__name__) is not value:
                    yield vars(value)


def _check_signature(name: str, theirs: Any, ours: Any) -> None:
    """Raise where their function takes arguments that ours does not know."""
    wanted, known = (list(inspect.signature(function).parameters) for function in (theirs, ours))
    if wanted != known[: len(wanted)]:
        raise OptDriverError(
            f"{name} of this version takes ({', '.join(wanted)}); this optdriver knows it with "
            f"({', '.join(known)})"
        )
