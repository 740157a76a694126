"""Mehrotra's predictor-corrector method for the nearest point of a polyhedron.

It does not mind that many rows are active at once or depend on each other, and costs a sparse
factorisation an iteration. `least_distance` sharpens its answer by an active set.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import sparse
from optdriver.geometry.factors import LowerUpper
from optdriver.geometry.matrices import is_sparse, scaled, stacked, times, transposed_times
from optdriver.geometry.products import dot, gram
from optdriver.geometry.symmetric import saddle

Array = NDArray[np.float64]

_ROUNDS = 60
_WIDE = 64
_ACCURATE = 1e-10
_SETTLED = 1e-7  # below this, what does not fall any more is what rounding leaves
_PATIENCE = 3


class Centre(NamedTuple):
    """A point near the solution: d, slacks s and multipliers z of ``G d + s = h``, y of E."""

    d: Array
    s: Array
    z: Array
    y: Array


def interior_point(G: Any, h: Array, E: Any, f: Array) -> Centre | None:
    """Minimise ``1/2 |d|^2`` subject to ``G d <= h`` and ``E d = f``.

    Parameters
    ----------
    G, E : ndarray or CSR array, shapes (p, n) and (q, n)
        The rows, of about unit length; both dense or both sparse.
    h, f : ndarray
        The right-hand sides.

    Returns
    -------
    Centre or None
        The solution to 1e-10 of the size of the problem, or to 1e-7 where the numbers of the
        problem are so far apart that rounding lets it come no nearer; None if there is no
        progress, which is what an empty polyhedron looks like.

    References
    ----------
    S. Mehrotra, On the implementation of a primal-dual interior point method, SIAM J. Optim.
    2 (1992); Nocedal and Wright, Numerical Optimization, algorithm 16.4.
    """
    size = max(float(np.abs(np.minimum(h, 0.0)).max(initial=0.0)), np.abs(f).max(initial=0.0))
    if size == 0.0:
        return Centre(np.zeros(G.shape[1]), h.copy(), np.zeros(h.size), np.zeros(f.size))
    h, f = h / size, f / size
    at = Centre(np.zeros(G.shape[1]), np.maximum(h, 1.0), np.ones(h.size), np.zeros(f.size))
    best, least, patience = at, np.inf, _PATIENCE
    for _ in range(_ROUNDS):
        residuals = _residuals(at, G, h, E, f)
        gap = dot(at.s, at.z) / max(1, h.size)
        error = max(gap, *(float(np.abs(r).max(initial=0.0)) for r in residuals))
        patience = _PATIENCE if error < least else patience - 1
        if error < least:
            best, least = at, error
        if least < _ACCURATE or (least < _SETTLED and patience <= 0):
            break
        moved = _iterated(at, residuals, gap, G, E)
        if moved is None:
            break
        at = moved
    return Centre(*(size * part for part in best)) if least < _SETTLED else None


def _residuals(at: Centre, G: Any, h: Array, E: Any, f: Array) -> tuple[Array, Array, Array]:
    stationarity = at.d + transposed_times(G, at.z) + transposed_times(E, at.y)
    return stationarity, times(G, at.d) + at.s - h, times(E, at.d) - f


def _iterated(
    at: Centre,
    residuals: tuple[Array, Array, Array],
    gap: float,
    G: Any,
    E: Any,
) -> Centre | None:
    solve = _factorised(G, E, at.z / at.s)
    if solve is None:
        return None
    affine = _direction(at, residuals, at.s * at.z, G, solve)
    reach = min(_reach(at.s, affine.s), _reach(at.z, affine.z))
    ahead = dot(at.s + reach * affine.s, at.z + reach * affine.z) / max(1, at.s.size)
    centring = (ahead / gap) ** 3 if gap > 0.0 else 0.0
    target = at.s * at.z + affine.s * affine.z - centring * gap
    step = _direction(at, residuals, target, G, solve)
    if not all(np.isfinite(part).all() for part in step):
        return None
    along = min(1.0, 0.99 * _reach(at.s, step.s), 0.99 * _reach(at.z, step.z))
    moved = Centre(*(part + along * change for part, change in zip(at, step, strict=True)))
    return moved if along > 1e-10 and np.abs(moved.z).max(initial=0.0) < 1e14 else None


def _reach(values: Array, changes: Array) -> float:
    """Return how far one can go, up to 1, before a value is zero."""
    falling = changes < 0.0
    return float(min(1.0, (-values[falling] / changes[falling]).min(initial=np.inf)))


def _direction(
    at: Centre, residuals: tuple[Array, Array, Array], target: Array, G: Any, solve: Any
) -> Centre:
    stationarity, primal, equal = residuals
    right = (at.z * primal - target) / at.s
    d, y = solve(-stationarity - transposed_times(G, right), -equal)
    s = -primal - times(G, d)
    return Centre(d, s, -(target + at.z * s) / at.s, y)


def _factorised(G: Any, E: Any, weights: Array) -> Any:
    """Return the solver of ``[I + G' diag(weights) G, E'; E, 0]``, or None if it is singular.

    In exact arithmetic it is not; weights of 1e16 leave nothing of I.
    """
    n, q = G.shape[1], E.shape[0]
    if is_sparse(G):
        wide = np.diff(G.indptr) > _WIDE  # these would fill G'G
        near = G[~wide]
        top = sparse.eye_array(n) + near.T @ scaled(near, rows=weights[~wide])
        apart = 1.0 / weights[wide]
        dual = np.concatenate([apart, np.full(q, 1e-13)])
        try:
            factors = sparse.splu(saddle(top, stacked([G[wide], E]) if wide.any() else E, dual))
        except RuntimeError:  # SuperLU's word for it
            return None

        def solved(a: Array, b: Array) -> list[Array]:
            parts = factors.solve(np.concatenate([a, np.zeros(len(apart)), b]))
            return [parts[:n], parts[n + len(apart) :]]

        return solved
    matrix = np.zeros((n + q, n + q))
    matrix[:n, :n] = np.eye(n) + gram(G, weights)
    matrix[:n, n:], matrix[n:, :n] = E.T, E
    matrix[n:, n:] = -1e-13 * np.eye(q)
    whole = LowerUpper.of(matrix)
    return whole and (lambda a, b: np.split(whole.solve(np.concatenate([a, b])), [n]))
