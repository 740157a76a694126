"""What is installed and which kernel runs."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from optdriver.lbfgsb import compiled
from optdriver.version import __version__


def _processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor()) or "unknown"


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show which kernel runs, and the versions that a report of a problem should name.

    Parameters
    ----------
    mode : {'stdout', 'dict'}
        Print, or return a dict (as NumPy's and SciPy's functions of this name do).
    """
    import scipy  # which nothing else here needs

    found = {
        "optdriver": __version__,
        "kernel": "compiled" if compiled() else "interpreted",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }
    if mode == "dict":
        return found
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in found.items()))
    return None
