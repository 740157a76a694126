"""The options of a least-squares run, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from optdriver.errors import InputError, nearest
from optdriver.geometry.aside import read_looks
from optdriver.leastsquares.losses import LINEAR, LOSSES
from optdriver.reading import check_count, check_real, read_level

XTOL: Final = 1e-11


@dataclass(frozen=True, kw_only=True, slots=True)
class LeastSquaresOptions:
    """The options of `LeastSquares`.

    Attributes
    ----------
    loss : {'linear', 'soft_l1', 'huber', 'cauchy', 'arctan'}
        What a residual costs, as in `scipy.optimize.least_squares`.
    f_scale : float
        The size of a residual from which on it counts as an outlier; without effect on 'linear'.
    xtol : float
        Converged when the Gauss-Newton step would lower the value by the part ``xtol**2`` or less.
        In the linear case this is the relative offset of Bates and Watts: a step of `xtol` in units
        of the size of the confidence region, whatever the parameters are measured in.
    secant : {3, 2, 1, 0}
        Learn of trials what the Jacobian alone leaves of the Hessian; 0 never.
    beside : {2, 1, 0}
        Ask points beside an end to which symmetry may have led, and go on from there if one is
        lower; 1 one in a single direction, 0 none.
    rounded : {1, 0}
        Learn of trials to how many digits residuals are printed, and end where these allow; 0 takes
        them for exact.
    maxfun, maxiter : int or math.inf
        Hard limits of evaluations and iterations.
    """

    loss: str = LINEAR
    f_scale: float = 1.0
    xtol: float = XTOL
    secant: int = 3
    beside: int = 2
    rounded: int = 1
    maxfun: float = math.inf
    maxiter: float = math.inf

    def __post_init__(self) -> None:
        check_loss(self.loss)
        check_real("f_scale", self.f_scale, above_zero=True)
        check_real("xtol", self.xtol, above_zero=False)
        object.__setattr__(self, "secant", read_level("secant", self.secant, 3))
        object.__setattr__(self, "beside", read_looks(self.beside))
        object.__setattr__(self, "rounded", read_level("rounded", self.rounded, 1))
        for name in ("maxfun", "maxiter"):
            check_count(name, getattr(self, name), least=1, infinite=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values; an infinite limit is None."""
        return {name: None if each == math.inf else each for name, each in asdict(self).items()}


def secant_of(convergence_rule: int) -> int:
    """Return the option `secant` of the fits of a multi-start or study with this rule."""
    return sum(convergence_rule > each for each in (7, 9, 10))


def rounded_of(convergence_rule: int) -> int:
    """Return the option `rounded` of the fits of a multi-start or study with this rule."""
    return int(convergence_rule > 12)


def check_loss(loss: Any) -> str:
    """Return the name of a loss; the error names the nearest one."""
    if not isinstance(loss, str) or loss not in LOSSES:
        known = ", ".join(map(repr, LOSSES))
        raise InputError(f"loss is one of {known}, not {loss!r}{nearest(str(loss), LOSSES)}")
    return loss
