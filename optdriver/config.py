"""What is installed and which kernel runs."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy as np
import scipy

import optdriver
from optdriver.lbfgsb import compiled


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show which kernel runs, and the versions that a report of a problem should name.

    Parameters
    ----------
    mode : {'stdout', 'dict'}
        Print, or return a dict (as NumPy's and SciPy's functions of this name do).
    """
    found = {
        "optdriver": optdriver.__version__,
        "kernel": "compiled" if compiled() else "interpreted",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    if mode == "dict":
        return found
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in found.items()))
    return None
