"""What J'J leaves of the Hessian, learnt of trials: a structured secant method.

Where residuals stay large the Gauss-Newton model is wrong by the sum of each residual times its
second derivatives, and steps come nearer to the end by a constant factor only.  Each trial tells
what that sum makes of the step: ``(J_t - J)'`` times the residuals of the point from which the
run goes on (Dennis, Gay, Welsch, "An adaptive nonlinear least-squares algorithm", ACM TOMS 7 (1981)
348), and symmetric rank-one updates of nothing make a matrix of the last trials.

By each trial both models, without the rest and with it, are scored: by how much they were wrong
about the change of the gradient.  The rest is taken where it is the better one by a margin, and
the whole is positive definite.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import quasi_newton
from optdriver.geometry.factors import Cholesky
from optdriver.geometry.products import norm, product, times, transposed_times
from optdriver.leastsquares import losses

if TYPE_CHECKING:
    from optdriver.leastsquares.state import State

Vector = NDArray[np.float64]

PAIRS: Final = 20
"""Most trials that are kept; no more than there are variables, since the rest changes."""

MEMORY: Final = 0.7
"""What a trial leaves of the scores before it."""

MARGIN: Final = 1.0
"""By how much, in logarithms that are summed up, the rest must be the better model.

Without it 648 runs on NIST's sets take 28,000 evaluations instead of 26,400 (32,500 without the
rest): in valleys that are curved and narrow the bend of a step is the better guide.
"""

CLEAR: Final = 5.0
"""The margin from which on the rest may say that a run has ended: of errors in derivatives alone
nothing is foreseen."""

AT_ENDS: Final = 3
"""The rule from which on it may."""

BLURRED: Final = 1e-2
"""Times `xtol`, a part of the Jacobian by which its errors may change it: differences that are no
more exact than that come with an `xtol` that is larger."""

NOTHING: Final = 1e-300

WITH_SILENT: Final = 2
"""The rule from which on a variable of which neither J nor a trial tells anything, as where
symmetry holds it, does not take the rest from the others."""


def whole(
    state: State,
    triangle: Vector,
    q: Vector,
    free: NDArray[np.bool_],
    *,
    clear: bool = False,
) -> tuple[Vector, Vector] | None:
    """Return R and q of the model with the rest, of the free variables.

    None where `triangle` and `q`, which are those of J alone, are the better model; and, if it is
    to be `clear`, where they are not clearly worse, or J says nothing of a variable.
    """
    if state.scale is None or not len(state.steps):
        return None
    if not state.scores[1] < state.scores[0] - (CLEAR if clear else MARGIN):
        return None
    if clear and not triangle.any(axis=0).all():
        return None
    scale = state.scale[free]
    rows = triangle / scale
    steps, changes = state.steps[:, free] * scale, state.changes[:, free] / scale
    bends, signs = quasi_newton.correction(steps, changes)
    matrix = product(rows.T, rows) + product(bends.T * signs, bends)
    if state.options.secant >= WITH_SILENT:
        matrix += np.diag(~matrix.any(axis=0))  # what says nothing is not moved
    factor = Cholesky.of(matrix)
    if factor is None:
        return None
    n = scale.size
    upper = np.triu(factor.upper.reshape(n, n))
    upper.reshape(-1)[:: n + 1] = 1.0 / upper.reshape(-1)[:: n + 1]
    made = factor.root(transposed_times(rows, q))
    return (upper * scale, made) if np.isfinite(made).all() else None


def learn(state: State, r: Vector, jacobian: Vector, *, accepted: bool) -> None:
    """Score both models by a trial, and keep what it tells of the rest."""
    options, scale = state.options, state.scale
    if state.x is None or state.pending is None or state.r is None or state.jacobian is None:
        raise ValueError("there is no trial")
    if scale is None or np.array_equal(state.pending, state.x):
        return
    moved, turned = state.pending - state.x, jacobian - state.jacobian
    if norm(turned / scale) <= BLURRED * options.xtol * norm(jacobian / scale):
        return
    loss, size = options.loss, options.f_scale
    change = losses.gradient(r, jacobian, loss, size)
    change = (change - losses.gradient(state.r, state.jacobian, loss, size)) / scale
    rows = state.jacobian * losses.weighted(state.r, loss, size)[1][:, None]
    plain = transposed_times(rows, times(rows, moved)) / scale
    bends, signs = quasi_newton.correction(state.steps * scale, state.changes / scale)
    both = plain + transposed_times(bends, signs * times(bends, moved * scale))
    wrong = np.array([_wrong(change, plain), _wrong(change, both)])
    left = losses.gradient(r if accepted else state.r, turned, loss, size)
    if np.isfinite(wrong).all() and np.isfinite(left).all():
        state.scores = MEMORY * state.scores + wrong
        most = min(moved.size, PAIRS)
        state.steps = np.concatenate([state.steps, moved[None]])[-most:]
        state.changes = np.concatenate([state.changes, left[None]])[-most:]


def _wrong(change: Vector, foreseen: Vector) -> float:
    """Return how badly a change was foreseen: the logarithm of the part of it that was not."""
    part = norm(change - foreseen) / max(norm(change), NOTHING)
    return math.log(min(max(part, 1e-3), 1e3)) if math.isfinite(part) else math.nan
