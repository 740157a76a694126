"""Differences of residuals that are printed with few digits: steps that are long enough for them.

The first differences of a run are as short as values of Python's numbers allow.  Residuals in a few
digits do not change over them, or by a last digit.  So where some have not changed a single point
farther away is asked.  If it shows that they were to change, they are rounded
(`optdriver.leastsquares.rounding`), all steps are made longer, and the run knows by how much its
residuals may be off.  Where none has changed at all all steps are made longer at once.

The best step of a forward difference balances the rounding errors of a column, of the size E,
against its curvature, which is taken to be its own size J over a length L of the variable:

    h = 8^(1/4) sqrt(E L / J)                                        (More and Wild 2012, sec. 3)

It is taken anew at each iterate, with the column of the one before.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.products import norm
from optdriver.leastsquares import rounding
from optdriver.leastsquares.covariance import Factors, of_factors
from optdriver.leastsquares.machine import DOUBT
from optdriver.multistart import differences, steps
from optdriver.multistart.differences import Differences
from optdriver.multistart.stencil import BASE, DROPPED

Vector = NDArray[np.float64]

FORGETTING: Final = 0.25
"""What an iterate leaves of a curvature that was larger before."""

LONGER: Final = 128.0
TRIES: Final = 3

TOO_SHORT: Final = 4.0
"""Steps that are so many times shorter than they should be are made once more."""


@dataclass(slots=True)
class Rounded:
    """What a run of a fit knows of the digits of its residuals.

    Attributes
    ----------
    noise : float
        The standard deviation of a rounding error; 0 where none have shown.
    fresh : bool
        Whether it is of the last differences, and the minimizer does not know it.
    tried : int
        How often the steps of the pending differences were made longer.
    still : ndarray, shape (n,), or None
        How many residuals no step in a coordinate has changed, however long; None at first.
    count, size : int, float
        The number of the residuals, and their length when they were differenced last.
    columns : ndarray, shape (n,), or None
        The lengths of the columns of that Jacobian.
    curvature : ndarray, shape (n,), or None
        How fast each column has changed with its variable, as far as that has shown.
    blur : ndarray, shape (n,), or None
        The standard deviations of its entries, 0 of variables that are fixed.
    """

    noise: float = 0.0
    fresh: bool = False
    tried: int = 0
    still: Vector | None = None
    count: int = 0
    size: float = 0.0
    columns: Vector | None = None
    curvature: Vector | None = None
    blur: Vector | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers and arrays."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any, n: int) -> Rounded:
        """Return what `to_dict` made `data` of, for `n` variables."""
        given = stored.mapping("rounded", data)

        def vector(name: str) -> Vector | None:
            value = given[name]
            return None if value is None else stored.array(name, value, (n,), finite=True)

        return cls(
            noise=stored.real("noise", given["noise"], 0.0, stored.FINITE),
            fresh=stored.flag("fresh", given["fresh"]),
            tried=stored.whole("tried", given["tried"]),
            still=vector("still"),
            count=stored.whole("count", given["count"]),
            size=stored.real("size", given["size"], 0.0, stored.FINITE),
            columns=vector("columns"),
            curvature=vector("curvature"),
            blur=vector("blur"),
        )


def wanted(known: Rounded, x: Vector, lower: Vector, upper: Vector, two_sided: bool) -> Vector:
    """Return the step of each coordinate at `x`, shape (n,)."""
    lengths = steps.typical(x, lower, upper)
    columns = np.zeros(x.size) if known.columns is None else known.columns
    with np.errstate(over="ignore"):
        reaches = np.where(columns > 0.0, columns * lengths, known.size)
        if known.curvature is not None:
            reaches = np.maximum(reaches, known.curvature * lengths**2)
    error = known.noise * math.sqrt(known.count)
    parts = [steps.balanced(error / each if each > 0.0 else 1.0, two_sided) for each in reaches]
    made: Vector = np.array(parts) * lengths
    return made


def more(
    known: Rounded,
    made: Differences,
    free: NDArray[np.bool_],
    lower: Vector,
    upper: Vector,
    two_sided: bool,
    before: tuple[Vector, Vector] | None,
) -> Vector | None:
    """Return the steps of complete differences to ask before these are used; None where none.

    NaN stands for those that stay.  Only `free` coordinates, whose steps are not given, get others.
    `before` is another point, and the Jacobian there.
    """
    told, used = differences.vectors(made), differences.used(made)
    if told is None or told.jacobian is None:
        return None
    most = steps.MOST * steps.typical(made.x, lower, upper)
    still = np.count_nonzero(told.jacobian == 0.0, axis=0).astype(np.float64)
    if known.tried and _shows(made, told.jacobian):
        known.noise, known.fresh = _noise(made), True
    known.count, known.size = told.values.size, norm(told.values)
    known.columns = np.array([norm(column) for column in told.jacobian.T])
    free = free & (used > 0.0) & (used < most)
    farther = (
        _farther(known, still, free) if known.size > 0.0 and known.tried < TRIES else free & False
    )
    right = np.minimum(LONGER * used, most)
    if known.noise and not two_sided and known.tried < TRIES:
        best = wanted(known, made.x, lower, upper, two_sided=False)
        short = free & (best > TOO_SHORT * used)
        right = np.where(farther & ~short, right, best)
        farther = farther | short
    if np.any(farther):
        known.tried += 1
        return np.where(farther, right, np.nan)
    known.still = still if known.still is None else np.minimum(known.still, still)
    apart = differences.spans(made)
    known.blur = np.where(apart > 0.0, math.sqrt(2.0) * known.noise, 0.0) / np.where(
        apart > 0.0, apart, 1.0
    )
    known.tried = 0
    if known.noise and before is not None:
        lengths = steps.typical(made.x, lower, upper)
        _learn(known, made.x - before[0], told.jacobian - before[1], lengths)
    return None


def _learn(known: Rounded, moved: Vector, change: Vector, lengths: Vector) -> None:
    """Take in how the columns have changed, by more than their rounding errors, over a step."""
    longest = float(np.max(np.abs(moved) / lengths, initial=0.0))
    if known.blur is None or not longest > 0.0:
        return
    changes = np.array([norm(column) for column in change.T])
    shown = changes / (longest * lengths)
    real = np.isfinite(shown) & (changes > DOUBT * math.sqrt(known.count) * known.blur)
    kept = np.zeros(moved.size) if known.curvature is None else known.curvature
    known.curvature = np.where(real, np.maximum(shown, FORGETTING * kept), kept)


def hidden(known: Rounded, made: Factors, free: NDArray[np.bool_]) -> float:
    """Return what rounding errors in the Jacobian may hide: what the step that they make promises.

    Infinite where the residuals do not determine the `free` variables.
    """
    if known.blur is None or not known.noise or not np.any(free):
        return 0.0
    covariance = of_factors(made, free, np.zeros((0, free.size))).covariance
    errors = known.blur[free] * known.size
    return 0.5 * math.fsum((errors**2 * np.diag(covariance)[free]).tolist())


def settle(known: Rounded, noise: float, r: Vector) -> None:
    """Take over what a run has come to at its end, with the residuals `r`."""
    known.noise, known.count, known.size = noise or known.noise, r.size, norm(r)


def level(known: Rounded) -> float:
    """Return a difference of values that rounding may be to blame for."""
    return DOUBT * spread(known)


def spread(known: Rounded) -> float:
    """Return the standard deviation of a value by rounding errors that are independent."""
    return known.noise * known.size


def _farther(known: Rounded, still: Vector, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return by which coordinates points farther away are to be asked.

    It is a single one as long as nothing shows that residuals are rounded: others that no step
    changes depend on other variables.
    """
    before = np.zeros(still.size) if known.still is None else known.still
    more = free & (still - before > rounding.SILENT * (known.count - before))
    if known.noise or not np.any(more) or np.all(still[free] == known.count):
        return more
    if known.tried:
        return free & False
    first: NDArray[np.bool_] = np.arange(still.size) == int(np.argmax(np.where(more, still, -1.0)))
    return first


def _shows(made: Differences, jacobian: Vector) -> bool:
    """Tell whether the longest steps foretell changes over shorter ones that are not there."""
    r = made.vectors[BASE]
    for slot, i in enumerate(made.coordinate):
        if i >= 0 and made.values[slot] == DROPPED and slot in made.vectors:
            moved = float(differences.point(made, slot)[i] - made.x[i])
            size = np.abs(r) + np.abs(jacobian[:, i] * made.x[i])
            if rounding.level(made.vectors[slot] - r, jacobian[:, i] * moved, size):
                return True
    return False


def _noise(made: Differences) -> float:
    """Return the standard deviation of a rounding error, by the least change of each residual."""
    r = made.vectors[BASE]
    changes = np.abs([v - r for slot, v in made.vectors.items() if slot != BASE])
    least = np.min(np.where(changes > 0.0, changes, np.inf), axis=0)
    known = least[np.isfinite(least)]
    return rounding.SPREAD * norm(known) / math.sqrt(known.size) if known.size else 0.0
