"""What the values of a loss in few digits can show: a minimizer is told with each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from optdriver import stored
from optdriver.numerics import OFF_BY, RESOLVED

MOST: Final = 1e300
"""No tolerance is larger."""


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

    @classmethod
    def from_dict(cls, data: Any) -> Precision:
        """Return what `dataclasses.asdict` made `data` of."""
        given = stored.mapping("precision", data)
        names = ("spacing", "ftol", "noise")
        return cls(**{name: stored.real(name, given[name], 0.0, MOST) for name in names})

    @property
    def coarsest(self) -> float:
        """The tolerance of reductions that suits values of all sizes."""
        return max(self.ftol, RESOLVED * self.spacing)

    def tell(self, minimizer: Any, f: float) -> None:
        """Let a minimizer know how exact a value is that it is told next."""
        if not math.isfinite(f):
            return
        state = minimizer.state
        state.noise = max(self.noise, self.doubt(f))
        state.ftol = self.smallest(f, state.unit)

    def doubt(self, f: float) -> float:
        """Return what the value `f` may be off by."""
        return OFF_BY * self.spacing * abs(f)

    def smallest(self, f: float, unit: float) -> float:
        """Return the tolerance of reductions at the value `f`, with the 1 in that unit."""
        return max(self.ftol, RESOLVED * self.spacing * abs(f) / max(abs(f), unit))
