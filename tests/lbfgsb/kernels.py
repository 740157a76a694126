"""The package twice in one process: as it is imported, and a second copy, always interpreted.

The internals (`cauchy_point`, `judge`, ...) are C functions when compiled, so tests of single
steps use the interpreted copy; whole runs go through both and are compared bit for bit.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

import optdriver.lbfgsb
import optdriver.lbfgsb._shim  # so that both copies have the same modules

NAME = "optdriver.lbfgsb"


def _of_package():
    return {
        name: module
        for name, module in sys.modules.items()
        if name == NAME or name.startswith(NAME + ".")
    }


class Kernel:
    """One copy of the package; ``kernel.cauchy`` is its module of that name."""

    def __init__(self, label, modules):
        self.label = label
        self.modules = modules

    def __getattr__(self, name):
        try:
            return self.modules[f"{NAME}.{name}"]
        except KeyError:
            return getattr(self.modules[NAME], name)

    def __repr__(self):
        return self.label

    @contextlib.contextmanager
    def installed(self):
        """Make this copy the one that imports, pickles and unpickles."""
        before = _of_package()
        _install(self.modules)
        try:
            yield self
        finally:
            _install(before)


def _install(modules):
    for name in _of_package():
        del sys.modules[name]
    sys.modules.update(modules)
    sys.modules["optdriver"].lbfgsb = modules[NAME]


def _load_interpreted():
    finder = optdriver.lbfgsb._kernel.SourceFinder()
    before, finders = _of_package(), list(sys.meta_path)
    for name in before:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        for name in sorted(before):
            importlib.import_module(name)
        return Kernel("interpreted", _of_package())
    finally:
        sys.meta_path[:] = finders
        _install(before)


imported = Kernel("imported", _of_package())
interpreted = _load_interpreted()
both = (imported, interpreted)
