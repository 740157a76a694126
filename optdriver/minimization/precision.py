"""What the values of a loss in few digits can show: a minimizer is told with each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

ROUNDING: Final = 4.0
"""A value may be off by so many times the spacing of numbers of its size."""

SMALLEST: Final = 10.0
"""A reduction is lost in rounding if it is smaller than so many times that spacing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """The precision of a loss, for L-BFGS-B within bounds.

    A tolerance of reductions is relative to values above 1 and absolute below.  So one that numbers
    of 32 bits can resolve at any value would end a run early where values are small, as those of a
    fit are; and without what a value may be off by, its line search would look for a reduction that
    rounding hides.

    Attributes
    ----------
    spacing : float
        That of the numbers, relative.
    ftol, noise : float
        The options that were wanted.
    """

    spacing: float
    ftol: float
    noise: float

    @property
    def coarsest(self) -> float:
        """The tolerance of reductions that suits values of all sizes."""
        return max(self.ftol, SMALLEST * self.spacing)

    def tell(self, minimizer: Any, f: float) -> None:
        """Let a minimizer know how exact a value is that it is told next."""
        if not math.isfinite(f):
            return
        state, size = minimizer.state, abs(f)
        state.noise = max(self.noise, ROUNDING * self.spacing * size)
        state.ftol = max(self.ftol, SMALLEST * self.spacing * size / max(size, state.unit))
