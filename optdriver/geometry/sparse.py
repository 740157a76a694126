"""SciPy's sparse arrays, imported when one is made: that takes longer than opening a study."""

from __future__ import annotations

from typing import Any


def splu(*given: Any, **options: Any) -> Any:
    """Return the factors of `scipy.sparse.linalg.splu`."""
    from scipy.sparse import linalg

    return linalg.splu(*given, **options)


def __getattr__(name: str) -> Any:
    """Return what `scipy.sparse` has under a name."""
    if name.startswith("__"):  # what the import system looks for in every module
        raise AttributeError(name)
    import scipy.sparse

    return getattr(scipy.sparse, name)
