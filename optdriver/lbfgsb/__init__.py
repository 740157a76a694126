"""L-BFGS-B as a resumable machine: ask, tell, stop, store, go on with the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optdriver.lbfgsb import _kernel

_kernel.choose()

from optdriver.lbfgsb.codes import Phase, Stop  # noqa: E402
from optdriver.lbfgsb.lanes import advance_lanes  # noqa: E402
from optdriver.lbfgsb.machine import compiled  # noqa: E402
from optdriver.lbfgsb.minimizer import (  # noqa: E402
    LBFGSB,
    advance,
    advance_failure,
    iterate,
    pending,
    start,
)
from optdriver.lbfgsb.options import Options  # noqa: E402
from optdriver.lbfgsb.state import State  # noqa: E402

if TYPE_CHECKING:
    from optdriver.lbfgsb.hessian import InverseHessian

__all__ = [
    "LBFGSB",
    "InverseHessian",
    "Options",
    "Phase",
    "State",
    "Stop",
    "advance",
    "advance_failure",
    "advance_lanes",
    "compiled",
    "iterate",
    "pending",
    "start",
]


def __getattr__(name: str) -> Any:
    """Load what needs SciPy's linear operators when it is asked for."""
    if name == "InverseHessian":
        from optdriver.lbfgsb.hessian import InverseHessian

        return InverseHessian
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
