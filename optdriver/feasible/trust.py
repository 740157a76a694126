"""The rules of the trust region (Conn, Gould, Toint, Trust-Region Methods, ch. 6 and 17).

Regions are boxes ``max |z - x| / D <= Delta``; sigma is that size of the step just tried.
"""

from __future__ import annotations

import numpy as np

ACCEPT = 1e-4
ROUNDING = 1e-10
USABLE = -10.0  # a step for which rho is smaller teaches no curvature
DROWNED = 64.0 * float(np.finfo(np.float64).eps)


def ratio(
    f: float,
    f_trial: float,
    predicted: float,
    mean_slope: float,
    noise: float = 0.0,
    rounding: float = ROUNDING,
) -> float:
    """Return rho, the actual over the predicted change.

    Parameters
    ----------
    f, f_trial : float
    predicted : float
        Change of the model, negative.
    mean_slope : float
        1/2 (g + g_trial)'s: the change of f by the trapezoidal rule, which is used where f itself
        changes by no more than its rounding.
    noise : float
        By how much two values that are equal may differ: it is added to both changes (Sun and
        Nocedal, arXiv 2201.00973).
    rounding : float
        That of f, relative.
    """
    actual = f_trial - f
    if min(abs(actual), abs(predicted)) < rounding * abs(f):
        actual = mean_slope
    return (actual - noise) / (predicted - noise)


def radius(delta: float, sigma: float, rho: float, slope: float, change: float) -> float:
    """Return the next Delta.

    Parameters
    ----------
    delta, sigma : float
    rho : float
    slope : float
        g's at the iterate.
    change : float
        f(trial) - f.
    """
    if not rho >= 0.1:
        return _shrunk(rho, slope, change) * min(delta, sigma)
    if rho < 0.25 and sigma > 0.5 * delta:
        delta = 0.5 * max(delta, sigma)
    elif rho > 0.75:
        factor = 5.0 if rho >= 0.95 else 2.5
        delta = factor * delta if sigma > 0.8 * delta else max(delta, factor * sigma)
    return min(delta, 5.0 * sigma)


def _shrunk(rho: float, slope: float, change: float) -> float:
    """Return the minimiser of the parabola through f, g's and f(trial), held in a range."""
    bend = 2.0 * (change - slope)
    wanted = -slope / bend if bend > 0.0 else 0.5
    return min(max(wanted, 0.03 if rho < -100.0 else 0.1), 0.5)


def drowned(change: float, sizes: float) -> bool:
    """Say whether a change of f along a step from x is what rounding of x alone can make.

    `sizes` is |g|'|x|.
    """
    return abs(change) <= DROWNED * sizes
