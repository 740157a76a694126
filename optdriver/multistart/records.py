"""What the scheduler hands out: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver.leastsquares.covariance import Factors

Vector = NDArray[np.float64]
PointKind = Literal["iterate", "difference"]
Fill = Literal[True, False, "idle"]
RunState = Literal["running", "waiting", "converged", "stopped", "failed"]


def fixed(given: ArrayLike) -> Vector:
    """Return a copy that cannot be changed, since it is handed out more than once."""
    array = np.array(given, dtype=np.float64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Point:
    """A point to be evaluated.

    Attributes
    ----------
    id : int
        The name under which it is told; ids count up from 0.
    run : int
        The minimizer that wants it (index into ``MultiStart.runs``).
    x : ndarray, shape (n,)
        Where to evaluate; read-only.
    kind : {'iterate', 'difference'}
        A point of the minimizer itself, or one of its finite-difference points, of which only
        the value is used.
    """

    id: int
    run: int
    x: Vector
    kind: PointKind


class PointArrays(NamedTuple):
    """Points to be evaluated, as columns: see `Point` for each of them."""

    ids: list[int]
    runs: list[int]
    kinds: list[PointKind]
    x: Vector

    @property
    def rows(self) -> list[int]:
        """The ids."""
        return self.ids

    def one(self, row: int) -> Point:
        """Return a point."""
        return Point(id=self.ids[row], run=self.runs[row], x=self.x[row], kind=self.kinds[row])

    def part(self, rows: slice) -> PointArrays:
        """Return some of the points."""
        return PointArrays(self.ids[rows], self.runs[rows], self.kinds[rows], self.x[rows])

    def without(self, row: int) -> PointArrays:
        """Return all points but one."""
        return self.part(slice(row)).followed_by(self.part(slice(row + 1, None)))

    def followed_by(self, then: PointArrays) -> PointArrays:
        """Return these points and others."""
        x = np.concatenate([self.x, then.x])
        x.flags.writeable = False
        return PointArrays(
            [*self.ids, *then.ids], [*self.runs, *then.runs], [*self.kinds, *then.kinds], x
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """A point with the value observed there.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point.
    f : float
        The value observed at `x`.
    g : ndarray, shape (n,), or None
        The gradient observed there, if one was given.
    id, run : int or None
        The point's id and run; None for a point that was added, not asked for.
    """

    x: Vector
    f: float
    g: Vector | None
    id: int | None
    run: int | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Minimum:
    """A local minimum: the best of the converged points that were recognised as the same.

    Attributes
    ----------
    x, f : ndarray, float
        An evaluated point and the value observed there.
    low, high : ndarray, shape (n,)
        The least and the greatest coordinates of the ends that were found to be this minimum: how
        far a flat one, or a valley, was seen to extend.
    times_found : int
        How many minimizers converged to it.
    starts, runs : tuple of int
        The starts that led there, and their runs, in the order in which they arrived.
    """

    x: Vector
    f: float
    low: Vector
    high: Vector
    times_found: int
    starts: tuple[int, ...]
    runs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Run:
    """What became of one minimizer.

    Attributes
    ----------
    index : int
        Number of the run, in the order of opening.
    start : int
        Number of its start: initial samples first, then the sequence.
    x0 : ndarray, shape (n,)
        The start.
    state : {'running', 'waiting', 'converged', 'stopped', 'failed'}
        ``waiting``: its start was evaluated and the start rule has put it aside.
        ``stopped``: ended without converging.  ``failed``: given up because evaluations failed.
    reason : str
        Why it ended, or an empty string.
    nfev, nfail : int
        Evaluations told for this run, failures included, and the failures among them.
    x, f : ndarray or None, float or None
        The best iterate so far and its value.
    active : tuple of str
        Names of the constraints that are active there.
    multipliers : dict
        Their multipliers: the value falls by so much when the constraint ``c <= 0`` becomes
        ``c <= 1``, to first order.
    bounds : ndarray, shape (n,), or None
        The multipliers of the box: below zero at a lower side, above zero at an upper one, zero
        away from it, NaN where none can be told; None without gradients.
    residual : float or None
        What is left of the first-order conditions there; None without gradients.
    noise : float
        The noise of the values as it was told, or measured for finite differences; 0 where there
        is none.
    factors : Factors or None
        Of a fit, what the covariance there is made of.
    """

    index: int
    start: int
    x0: Vector
    state: RunState
    reason: str
    nfev: int
    nfail: int
    x: Vector | None
    f: float | None
    active: tuple[str, ...] = ()
    multipliers: Mapping[str, float] = field(default_factory=dict)
    bounds: Vector | None = None
    residual: float | None = None
    noise: float = 0.0
    factors: Factors | None = None
