"""Which kernel runs: the compiled one where it was built, else the same files interpreted.

The environment variable ``OPTDRIVER_KERNEL`` asks for ``compiled`` (an error where there is none)
or ``interpreted`` (even where there is a compiled one).
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from optdriver.errors import InputError

VARIABLE = "OPTDRIVER_KERNEL"
_HERE = Path(__file__).parent
_ROOMS = {"optdriver.lbfgsb": _HERE, "optdriver.geometry": _HERE.parent / "geometry"}


class SourceFinder:
    """Finds the modules of the kernel as source, whatever stands compiled beside it."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a kernel module's source; None for every other module."""
        package, _, module = name.rpartition(".")
        room = _ROOMS.get(package)
        if room is None or not (room / f"{module}.pxd").exists():
            return None
        source = str(room / f"{module}.py")
        loader = importlib.machinery.SourceFileLoader(name, source)
        return importlib.util.spec_from_file_location(name, source, loader=loader)


def choose() -> None:
    """Do what the environment asks for; called before the kernel is imported."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "interpreted":
        sys.meta_path.insert(0, SourceFinder())
    elif wanted == "compiled":
        if not any(_HERE.glob("machine.*.so")) and not any(_HERE.glob("machine.*.pyd")):
            raise InputError(
                f"{VARIABLE} is 'compiled', but optdriver was installed without its compiled "
                "kernel: install it where there is a C compiler, or unset the variable"
            )
    elif wanted:
        raise InputError(f"{VARIABLE} is {wanted!r}; expected 'compiled' or 'interpreted'")
