"""Line search (More and Thuente 1994), with two things it did not have.

Near the rounding level of f, where sufficient decrease cannot be seen any more, a trial is
accepted by the approximate Wolfe conditions (Hager and Zhang 2005, eq. 4.1); and a trial whose
evaluation failed sends the step back toward the last good point.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs, sqrt
    from cython.cimports.optdriver.lbfgsb.constants import ACCEPT, ACCEPT_BEST, GIVE_UP, GO_ON
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite, clamp, copy, dot, finite, ratio
    from cython.cimports.optdriver.lbfgsb.state import State
else:
    from math import fabs, sqrt

    from optdriver.lbfgsb.codes import ACCEPT, ACCEPT_BEST, GIVE_UP, GO_ON
    from optdriver.lbfgsb.linalg import all_finite, clamp, copy, dot, finite, ratio
    from optdriver.lbfgsb.state import State


def begin(s: State) -> cython.bint:
    """Start a search along s.d from s.x; False if d is not a finite direction of descent."""
    norm: cython.double = sqrt(dot(s.d, s.d, s.n))
    s.slope0 = dot(s.g, s.d, s.n)
    if not (s.slope0 < 0.0 and finite(s.slope0) and norm > 0.0 and finite(norm)):
        return False
    s.f0 = s.f
    s.stpmax = longest_step(s)
    s.stp = 1.0
    if (s.k == 0 or s.nit == 0) and s.initial_step > 0.0:
        s.stp = min(s.initial_step / norm, s.stpmax)
    elif s.k == 0 and not s.boxed and s.doubts < 2:
        s.stp = min(1.0 / norm, s.stpmax)
    s.trials = 0
    s.hampered = 0
    s.best_stp = -1.0
    open_interval(s)
    return place_trial(s)


def open_interval(s: State) -> cython.void:
    """Forget the steps tried: the interval begins at 0 and is open."""
    s.stx = s.sty = 0.0
    s.fx = s.fy = s.f0
    s.gx = s.gy = s.slope0
    s.stmin = 0.0
    s.stmax = s.stp + 4.0 * s.stp
    s.width = s.stpmax
    s.width1 = 2.0 * s.stpmax
    s.bracketed = 0
    s.stage = 1


def longest_step(s: State) -> cython.double:
    """Return the largest step allowed: to the nearest bound, 1 at the first iteration, or 1e10."""
    i: cython.Py_ssize_t
    longest: cython.double = 1e10
    d: cython.double
    down: cython.double
    up: cython.double
    if not s.constrained:
        return longest
    if s.nit == 0:
        return 1.0
    for i in range(s.n):
        d = s.d[i]
        down = s.l[i] - s.x[i]
        up = s.u[i] - s.x[i]
        if d * longest < down or d * longest > up:
            longest = (down if d < 0.0 else up) / d
    return max(longest, 1.0)  # z = x + d lies in the box


def place_trial(s: State) -> cython.bint:
    """Leave the trial x + stp d in s.xt; False if no finite point other than x is left to try."""
    i: cython.Py_ssize_t
    moved: cython.Py_ssize_t
    while s.stp > 0.0:
        if s.stp == 1.0:
            copy(s.z, s.xt, s.n)
        else:
            for i in range(s.n):
                s.xt[i] = min(max(s.x[i] + s.stp * s.d[i], s.l[i]), s.u[i])
        moved = 0
        for i in range(s.n):
            moved += s.xt[i] != s.x[i]
        if not moved:
            return False
        if all_finite(s.xt, s.n):
            return True
        s.stp *= 0.1
        s.stpmax = s.stp
    return False


def judge(s: State, f: cython.double) -> cython.Py_ssize_t:
    """Judge the trial with value f and gradient s.gt.

    ACCEPT it, GO_ON to the next one (in s.xt), ACCEPT_BEST (the best point of this search
    serves), or GIVE_UP.
    """
    slope: cython.double = dot(s.gt, s.d, s.n)
    target: cython.double = s.f0 + s.stp * 1e-3 * s.slope0
    s.trials += 1
    if s.stage == 1 and f <= target and slope >= 0.0:
        s.stage = 2
    if serves(s, f, slope, target):
        return ACCEPT
    if s.trials >= s.maxls:
        return settle(s)
    refine(s, f, slope, target)
    if has_room(s) and place_trial(s):
        return GO_ON
    return GO_ON if retreat(s) else settle(s)


def has_room(s: State) -> cython.bint:
    """Whether the next step lies between the steps tried, and these are not too close."""
    return not s.bracketed or (s.stmin < s.stp < s.stmax and s.stmax - s.stmin > 0.1 * s.stmax)


def retreat(s: State) -> cython.bint:
    """Try a tenth of the interval, where a huge value at its far end left no step to be seen.

    A penalty of 1e20, say, makes the interpolated step so small that x does not move.
    """
    if not (s.bracketed and s.stx == 0.0 and s.fy - s.f0 > fabs(s.f0)):
        return False
    s.stp = 0.1 * s.sty
    return place_trial(s)


def serves(s: State, f: cython.double, slope: cython.double, target: cython.double) -> cython.bint:
    """Whether the trial ends the search; the last line is the approximate Wolfe condition."""
    if f <= target and fabs(slope) <= 0.9 * -s.slope0:
        return True  # strong Wolfe
    if s.stp == s.stpmax and f <= target and slope <= 1e-3 * s.slope0:
        return True  # the bound is in the way
    return fabs(f - s.f0) <= noise_level(s, f) and 0.9 * s.slope0 <= slope <= -0.998 * s.slope0


def noise_level(s: State, f: cython.double) -> cython.double:
    """Return the error to be expected in a difference of values at f0 and f."""
    unit: cython.double = 1.1920928955078125e-07 if s.single else 2.220446049250313e-16
    return s.noise + 2.0 * unit * max(fabs(s.f0), fabs(f))


def settle(s: State) -> cython.Py_ssize_t:
    """End a search that can't go on: with its best point, if that is lower than the iterate."""
    if s.best_stp > 0.0 and s.best_f < s.f0:
        if not enough(s):
            s.hampered = 1
        return ACCEPT_BEST
    return GIVE_UP


def enough(s: State) -> cython.bint:
    """Whether the best point of this search has sufficient decrease."""
    return s.best_stp > 0.0 and s.best_f <= s.f0 + s.best_stp * 1e-3 * s.slope0


def back_off(s: State) -> cython.Py_ssize_t:
    """Answer a failed evaluation of the trial, as `judge` does.

    A point of this search with sufficient decrease serves; otherwise the step goes back toward
    the iterate, in ever larger strides, and never again as far as the failed trial.
    """
    s.trials += 1
    s.hampered = 1
    if enough(s):
        return ACCEPT_BEST
    if s.failures >= s.maxls:
        return settle(s)
    s.stp *= 0.5 if s.failures == 1 else (0.25 if s.failures == 2 else 0.1)
    s.stpmax = s.stp
    open_interval(s)
    return GO_ON if place_trial(s) else settle(s)


def refine(s: State, f: cython.double, slope: cython.double, target: cython.double) -> cython.void:
    """Update the interval with the trial and compute the next step (1994, section 4)."""
    tilt: cython.double = 1e-3 * s.slope0
    if s.stage == 1 and f <= s.fx and f > target:  # psi instead of phi (eq. 2.1)
        s.fx -= s.stx * tilt
        s.fy -= s.sty * tilt
        s.gx -= tilt
        s.gy -= tilt
        choose_step(s, f - s.stp * tilt, slope - tilt)
        s.fx += s.stx * tilt
        s.fy += s.sty * tilt
        s.gx += tilt
        s.gy += tilt
    else:
        choose_step(s, f, slope)
    if s.bracketed:
        if fabs(s.sty - s.stx) >= 0.66 * s.width1:
            s.stp = s.stx + 0.5 * (s.sty - s.stx)
        s.width1 = s.width
        s.width = fabs(s.sty - s.stx)
        s.stmin = min(s.stx, s.sty)
        s.stmax = max(s.stx, s.sty)
    else:
        s.stmin = s.stp + 1.1 * (s.stp - s.stx)
        s.stmax = s.stp + 4.0 * (s.stp - s.stx)
    s.stp = clamp(s.stp, 0.0, s.stpmax)


def choose_step(s: State, fp: cython.double, gp: cython.double) -> cython.void:
    """Choose the next trial from the values and slopes at stx, sty and stp (1994, section 4)."""
    new: cython.double
    opposite: cython.bint = gp * (s.gx / fabs(s.gx) if s.gx != 0.0 else 0.0) < 0.0
    if fp > s.fx:
        new = case_higher(s, fp, gp)
        s.bracketed = 1
    elif opposite:
        new = case_opposite(s, fp, gp)
        s.bracketed = 1
    elif fabs(gp) < fabs(s.gx):
        new = case_flatter(s, fp, gp)
    else:
        new = case_steeper(s, fp, gp)
    if fp > s.fx:
        s.sty = s.stp
        s.fy = fp
        s.gy = gp
    else:
        if opposite:
            s.sty = s.stx
            s.fy = s.fx
            s.gy = s.gx
        s.stx = s.stp
        s.fx = fp
        s.gx = gp
    if not finite(new):
        new = s.stx + 0.5 * (s.sty - s.stx) if s.bracketed else s.stmax
    s.stp = new


def cubic(
    stx: cython.double,
    fx: cython.double,
    gx: cython.double,
    stp: cython.double,
    fp: cython.double,
    gp: cython.double,
    from_x: cython.bint,
) -> cython.double:
    """Return the fraction, from one end to the other, of the cubic interpolant's minimiser."""
    theta: cython.double = ratio(3.0 * (fx - fp), stp - stx) + gx + gp
    scale: cython.double = max(max(fabs(theta), fabs(gx)), fabs(gp))
    gamma: cython.double
    if scale == 0.0:
        return 0.5
    gamma = (theta / scale) * (theta / scale) - (gx / scale) * (gp / scale)
    gamma = scale * sqrt(gamma) if gamma > 0.0 else 0.0
    if from_x:
        if stp < stx:
            gamma = -gamma
        return ratio((gamma - gx) + theta, ((gamma - gx) + gamma) + gp)
    if stp > stx:
        gamma = -gamma
    return ratio((gamma - gp) + theta, ((gamma - gp) + gamma) + gx)


def case_higher(s: State, fp: cython.double, gp: cython.double) -> cython.double:
    """Case 1, a higher value.

    The cubic step if it is closer to stx, else its mean with the quadratic one.
    """
    dx: cython.double = s.stp - s.stx
    c: cython.double = s.stx + cubic(s.stx, s.fx, s.gx, s.stp, fp, gp, True) * dx
    slope: cython.double = ratio(s.fx - fp, dx) + s.gx
    q: cython.double = s.stx + (ratio(s.gx, slope) / 2.0) * dx
    if fabs(c - s.stx) < fabs(q - s.stx):
        return c
    return c + (q - c) / 2.0


def case_opposite(s: State, fp: cython.double, gp: cython.double) -> cython.double:
    """Case 2, a lower value and a slope of the other sign.

    The cubic or the secant step, whichever is farther from stp.
    """
    dx: cython.double = s.stx - s.stp
    c: cython.double = s.stp + cubic(s.stx, s.fx, s.gx, s.stp, fp, gp, False) * dx
    q: cython.double = s.stp + ratio(gp, gp - s.gx) * dx
    return c if fabs(c - s.stp) > fabs(q - s.stp) else q


def case_flatter(s: State, fp: cython.double, gp: cython.double) -> cython.double:
    """Case 3, a lower value and a smaller slope of the same sign.

    The cubic step only where the cubic tends to infinity in the direction of the step, or its
    minimum is beyond stp.
    """
    dx: cython.double = s.stx - s.stp
    theta: cython.double = ratio(3.0 * (s.fx - fp), s.stp - s.stx) + s.gx + gp
    scale: cython.double = max(max(fabs(theta), fabs(s.gx)), fabs(gp))
    gamma: cython.double = (theta / scale) * (theta / scale) - (s.gx / scale) * (gp / scale)
    r: cython.double
    c: cython.double
    q: cython.double = s.stp + ratio(gp, gp - s.gx) * dx
    gamma = scale * sqrt(gamma) if gamma > 0.0 else 0.0
    if s.stp > s.stx:
        gamma = -gamma
    r = ratio((gamma - gp) + theta, (gamma + (s.gx - gp)) + gamma)
    c = s.stmax if s.stp > s.stx else s.stmin
    if r < 0.0 and gamma != 0.0:
        c = s.stp + r * dx
    if not s.bracketed:
        return clamp(c if fabs(c - s.stp) > fabs(q - s.stp) else q, s.stmin, s.stmax)
    c = c if fabs(c - s.stp) < fabs(q - s.stp) else q
    q = s.stp + 0.66 * (s.sty - s.stp)
    return min(q, c) if s.stp > s.stx else max(q, c)


def case_steeper(s: State, fp: cython.double, gp: cython.double) -> cython.double:
    """Case 4, a lower value and a slope that is not smaller.

    The cubic step between stp and sty, or the end of the interval.
    """
    if s.bracketed:
        return s.stp + cubic(s.sty, s.fy, s.gy, s.stp, fp, gp, False) * (s.sty - s.stp)
    return s.stmax if s.stp > s.stx else s.stmin
