"""Constraints whose values are told with the objective, driven by ask and tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optdriver.sqp.options import SQPOptions
from optdriver.sqp.state import Stop

if TYPE_CHECKING:
    from optdriver.sqp.minimizer import SQP as SQP

__all__ = ["SQP", "SQPOptions", "Stop"]


def __getattr__(name: str) -> Any:
    """Import the minimizer, which needs SciPy, when it is first wanted."""
    if name != "SQP":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optdriver.sqp.minimizer import SQP

    return SQP
