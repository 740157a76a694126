"""The machine: START, SEARCH, BESIDE, DONE, and the only code that moves between them.

There is one kind of suspension point, "give me f and g at xt".  `advance` takes one evaluation
and leaves the next point, or DONE with a reason, in the state.
"""

from __future__ import annotations

import threading
from typing import Any

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.lbfgsb.cauchy import cauchy_point
    from cython.cimports.optdriver.lbfgsb.constants import (
        ABNORMAL,
        ACCEPT,
        ACCEPT_BEST,
        BESIDE,
        DONE,
        FAILED,
        FOLLOWING,
        GO_ON,
        HALTED,
        LOOKING,
        MAX_EVALUATIONS,
        MAX_ITERATIONS,
        MOST_BESIDE,
        MOST_FOLLOWED,
        MOST_LEFT,
        PROJECTED_GRADIENT,
        REDUCTION,
        SEARCH,
        START,
        UNBOUNDED,
    )
    from cython.cimports.optdriver.lbfgsb.linalg import (
        all_finite,
        copy,
        dot,
        finite,
        scale,
        subtract,
    )
    from cython.cimports.optdriver.lbfgsb.line_search import back_off, begin, judge, noise_level
    from cython.cimports.optdriver.lbfgsb.memory import forget, form_middle, remember, two_loop
    from cython.cimports.optdriver.lbfgsb.saddles import (
        drift_aside,
        farther_aside,
        follow_bends,
        has_fallen,
        is_small_part,
        promised_aside,
        slope_aside,
        step_aside,
        turn_aside,
    )
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
    from cython.cimports.optdriver.lbfgsb.stopping import (
        falls_along,
        falls_plainly,
        falls_without_end,
        is_stationary,
        learn_unit,
        missed,
        objects,
        projected_gradient_norm,
        promise,
        reach,
        reduction_is_small,
        uneven,
    )
    from cython.cimports.optdriver.lbfgsb.subspace import subspace_minimum, update_free_set
    from cython.cimports.optdriver.lbfgsb.threads import FREE_THREADED
else:
    from math import fabs

    from optdriver.lbfgsb.cauchy import cauchy_point
    from optdriver.lbfgsb.codes import (
        ABNORMAL,
        ACCEPT,
        ACCEPT_BEST,
        BESIDE,
        DONE,
        FAILED,
        FOLLOWING,
        GO_ON,
        HALTED,
        LOOKING,
        MAX_EVALUATIONS,
        MAX_ITERATIONS,
        MOST_BESIDE,
        MOST_FOLLOWED,
        MOST_LEFT,
        PROJECTED_GRADIENT,
        REDUCTION,
        SEARCH,
        START,
        UNBOUNDED,
    )
    from optdriver.lbfgsb.linalg import all_finite, copy, dot, finite, scale, subtract
    from optdriver.lbfgsb.line_search import back_off, begin, judge, noise_level
    from optdriver.lbfgsb.memory import forget, form_middle, remember, two_loop
    from optdriver.lbfgsb.saddles import (
        drift_aside,
        farther_aside,
        follow_bends,
        has_fallen,
        is_small_part,
        promised_aside,
        slope_aside,
        step_aside,
        turn_aside,
    )
    from optdriver.lbfgsb.state import Scratch, State
    from optdriver.lbfgsb.stopping import (
        falls_along,
        falls_plainly,
        falls_without_end,
        is_stationary,
        learn_unit,
        missed,
        objects,
        projected_gradient_norm,
        promise,
        reach,
        reduction_is_small,
        uneven,
    )
    from optdriver.lbfgsb.subspace import subspace_minimum, update_free_set

_local = threading.local()
_shared: Scratch = Scratch(64, 10)


def compiled() -> bool:
    """Whether this kernel is the compiled one."""
    return bool(cython.compiled)


def scratch(n: int, m: int) -> Scratch:
    """Return this thread's work space for n variables and m pairs."""
    q = getattr(_local, "scratch", None)
    if q is None or q.n < n or q.m != m:
        q = _local.scratch = Scratch(n, m)
    return q


def small_scratch(s: State) -> Scratch:
    """Return the work space of a call that holds the interpreter's lock from beginning to end.

    That is so in compiled code only, and where there is such a lock: one for all threads then does,
    and is at hand at once.
    """
    if cython.compiled and not FREE_THREADED:  # pragma: no cover - compiled code cannot be traced
        global _shared
        if _shared.m != s.m:
            _shared = Scratch(64, s.m)
        return _shared
    else:  # noqa: RET505 - one of the two branches is not compiled
        return scratch(s.n, s.m)


def advance(s: State, f: cython.double) -> None:
    """Take the value f and the gradient in ``s.gt`` at the pending point ``s.xt``; go on.

    A value or gradient that is not finite counts as a failed evaluation.
    """
    f = float(f)  # NumPy's infinities warn, where this is interpreted
    if s.n < 64:  # not worth letting go of the interpreter
        take(s, small_scratch(s), f)
    else:
        large: Scratch = scratch(s.n, s.m)
        with cython.nogil:
            take(s, large, f)


def advance_failure(s: State) -> None:
    """Take the news that the evaluation at the pending point ``s.xt`` has failed; go on."""
    q: Scratch = scratch(s.n, s.m)
    take(s, q, float("nan"))


def halt(s: State) -> None:
    """End the run from outside."""
    finish(s, HALTED)


def seed(s: State, y: Any, step: Any) -> bool:
    """Store a pair (step, y) from elsewhere; False, unchanged, if its curvature is not positive."""
    q: Scratch = scratch(s.n, s.m)
    sy: cython.double
    for i in range(s.n):
        q.y[i] = y[i]
        q.s[i] = step[i]
    sy = dot(q.s, q.y, s.n)
    if not sy > 2.220446049250313e-16 * dot(q.y, q.y, s.n):
        return False
    remember(s, q, sy)
    return True


def finish(s: State, stop: cython.Py_ssize_t) -> cython.void:
    """End the run."""
    s.phase = DONE
    s.stop = stop


def take(s: State, q: Scratch, f: cython.double) -> cython.void:
    """Take one evaluation, good or failed."""
    s.nfev += 1
    if not (finite(f) and all_finite(s.gt, s.n)):
        s.nfail += 1
        s.failures += 1
        take_failure(s, q)
    else:
        s.failures = 0
        watch_precision(s, f)
        if s.phase == BESIDE:
            take_beside(s, q, f)
        else:
            keep_best(s, f)
            if s.phase == START:
                take_start(s, q, f)
            else:
                follow(s, q, judge(s, f), f)
    if s.phase == DONE:
        look_beside(s)
    elif s.nfev >= s.maxfun:
        if s.phase == BESIDE:
            finish(s, MAX_EVALUATIONS if falls_beside(s) else the_end(s))
        else:
            finish(s, REDUCTION if looks(s) and not doubted(s) else MAX_EVALUATIONS)


def watch_precision(s: State, f: cython.double) -> cython.void:
    """Notice a value that is no float32 number (24 bits, cut out as by Veltkamp 1968)."""
    c: cython.double = 536870913.0 * f  # 2^29 + 1
    if c - (c - f) != f:
        s.single = 0


def keep_best(s: State, f: cython.double) -> cython.void:
    """Keep the pending point if no better one was seen."""
    if f <= s.best_f:
        s.best_f = f
        s.best_stp = s.stp if s.phase == SEARCH else -1.0
        copy(s.xt, s.xb, s.n)
        copy(s.gt, s.gb, s.n)


def take_failure(s: State, q: Scratch) -> cython.void:
    """Ask a failed start once more; otherwise step back, or end where the run was to end."""
    if s.phase == SEARCH:
        follow(s, q, back_off(s), s.f)
    elif s.phase == BESIDE:
        end_beside(s, q)
    elif s.failures > 1:
        finish(s, FAILED)


def take_start(s: State, q: Scratch, f: cython.double) -> cython.void:
    """Make the start the first iterate."""
    move(s, f)
    if not finite(s.f_start):  # otherwise it goes on from another run
        s.f_start = f
        if s.cautious:
            learn_unit(s)
        if s.cautious > 1:
            copy(s.x, s.xs, s.n)
    if is_stationary(s, s.x, s.g, f, s.pgnorm):
        finish(s, PROJECTED_GRADIENT)
    elif s.nit >= s.maxiter:
        finish(s, MAX_ITERATIONS)
    else:
        set_out(s, q)


def look_beside(s: State) -> cython.void:
    """Ask a point beside an end with success to which symmetry may have led, once an end."""
    if s.cautious < 6 or s.beside > 0 or s.left >= MOST_LEFT or s.nit >= s.maxiter:
        return
    if (s.stop != PROJECTED_GRADIENT and s.stop != REDUCTION) or s.nfev >= s.maxfun:
        return
    s.beside = s.stop
    if step_aside(s) or may_drift(s):
        s.phase = BESIDE
        s.stop = 0
        s.f0 = s.best_f


def the_end(s: State) -> cython.Py_ssize_t:
    """Return how a run ends beside whose end nothing lower is found."""
    return 2 - s.beside % 2


def take_beside(s: State, q: Scratch, f: cython.double) -> cython.void:
    """Go on from a point beside the end that is lower than it; otherwise the end stands.

    A lower one where f is flat, or has fallen by next to nothing, is followed farther out: from
    there the next iterate might pass at once.  One that is not lower is followed by another if the
    change of the gradient says that f falls along some of its steps: the others have hidden it;
    then by others in turn.  A small slope that is left at the end, or seems so by differences,
    explains twice as much as it promises: f falls there, but does not bend down.
    """
    fall: cython.double = s.f0 - f
    hidden: cython.double = noise_level(s, f)
    if f < s.f0 - hidden - 2.0 * slope_aside(s):
        keep_best(s, f)
        s.f0 = f
        if not (stands(s) or (s.cautious > 6 and is_small_part(s, fall))):
            leave(s, q, f)
        elif farther_aside(s):
            s.beside = the_end(s) + 2
        else:
            end_beside(s, q)
    elif s.beside <= 2 and promised_aside(s) > hidden:
        follow_bends(s)
        s.beside += 2
    elif may_turn(s) and turn_aside(s, q, hidden):
        s.beside = max(s.beside, the_end(s) + 2) + 2
    elif not may_drift(s):
        end_beside(s, q)


def may_drift(s: State) -> cython.bint:
    """Ask where variables have drifted to, at last, if nothing lower was found beside the end."""
    if s.cautious > 8 and s.beside <= MOST_BESIDE and not has_fallen(s) and drift_aside(s):
        s.beside = MOST_BESIDE + the_end(s)
        return True
    return False


def may_turn(s: State) -> cython.bint:
    """Whether another direction may be seen: nothing lower was found, and not yet too many were."""
    return s.cautious > 7 and s.beside + 2 <= MOST_BESIDE and not has_fallen(s)


def stands(s: State) -> cython.bint:
    """Whether the best point passes the test of the gradient."""
    return is_stationary(s, s.xb, s.gb, s.best_f, projected_gradient_norm(s, s.xb, s.gb))


def falls_beside(s: State) -> cython.bint:
    """Whether a lower point was found beside the end, from which f falls on."""
    return s.cautious > 6 and has_fallen(s) and not stands(s)


def end_beside(s: State, q: Scratch) -> cython.void:
    """Let the end stand where nothing more is to be seen beside it, or go on from a lower point."""
    if falls_beside(s):
        back_to_best(s)
        leave(s, q, s.best_f)
    else:
        finish(s, the_end(s))


def leave(s: State, q: Scratch, f: cython.double) -> cython.void:
    """Go on from a point beside an end that was none."""
    s.left += 1
    s.beside = s.doubts = 0
    s.nit += 1
    move(s, f)
    set_out(s, q)


def move(s: State, f: cython.double) -> cython.void:
    """Make the pending point the iterate."""
    s.f = f
    copy(s.xt, s.x, s.n)
    copy(s.gt, s.g, s.n)
    s.pgnorm = projected_gradient_norm(s, s.x, s.g)


def follow(s: State, q: Scratch, verdict: cython.Py_ssize_t, f: cython.double) -> cython.void:
    """Do what the line search says."""
    if verdict == ACCEPT_BEST:
        s.stp = s.best_stp
        back_to_best(s)
        accept(s, q, s.best_f, 0.1)
    elif verdict == ACCEPT:
        accept(s, q, f, 0.1 if s.hampered else 2.220446049250313e-16)
    elif verdict != GO_ON:
        start_over(s, q)


def back_to_best(s: State) -> cython.void:
    """Put the best point in the place of the pending one."""
    copy(s.xb, s.xt, s.n)
    copy(s.gb, s.gt, s.n)


def start_over(s: State, q: Scratch) -> cython.void:
    """Answer a search without success: without memory, from the steepest descent; or stop."""
    if s.doubts >= FOLLOWING:
        s.doubts = 1  # that f falls faster and faster was said by the memory
    if looks(s):
        finish(
            s, ABNORMAL if s.cautious > 4 and falls_along(s, 2e-5) else REDUCTION
        )  # the iterate had passed, and only a second look was missing
    elif s.failures > 0 and not (s.k == 0 and s.doubts > 0):
        finish(s, FAILED)
    elif s.cautious > 2 and s.k == 0 and s.doubts == 1 and uneven(s) and objects(s):
        s.doubts = 2  # the steepest descent leads nowhere: variables are of sizes too different
        set_out(s, q)
    elif s.k == 0 and s.doubts > 0 and not contradicted(s):
        finish(s, REDUCTION)  # the iterate had passed a test, and nothing lower is found from it
    elif s.k == 0:
        finish(s, ABNORMAL)
    else:
        forget(s)
        s.nreset += 1
        set_out(s, q)


def accept(s: State, q: Scratch, f: cython.double, least: cython.double) -> cython.void:
    """Make the trial the next iterate, test it, learn from the step, and set out again.

    The pair is stored where s'y is more than `least` times -slope0 stp.  After a search that was
    cut short this asks for the curvature condition of Wolfe, which it may not have reached.
    """
    before: cython.double = s.f
    sy: cython.double = (dot(s.gt, s.d, s.n) - s.slope0) * s.stp
    stop: cython.Py_ssize_t = 0
    passed: cython.Py_ssize_t = 0
    taken: cython.double = s.stp
    doubtful: cython.bint
    endless: cython.bint = falls_without_end(s, f)
    scale(s.d, s.stp, q.s, s.n)
    subtract(s.gt, s.g, q.y, s.n)
    move(s, f)
    s.nit += 1
    if is_stationary(s, s.x, s.g, f, s.pgnorm):
        stop = PROJECTED_GRADIENT
    elif not s.hampered and reduction_is_small(s, before, f):
        stop = REDUCTION
    doubtful = stop == REDUCTION and s.stp < 1e-4 and s.k > 0
    if stop and not doubtful:
        passed = passed_by_best(s, stop, before)
    if passed and not (s.cautious and s.ftol > 0.0 and s.nit < s.maxiter):
        finish(s, passed)
    elif endless:
        finish(s, UNBOUNDED)
    elif s.nit >= s.maxiter:
        finish(s, MAX_ITERATIONS)
    elif doubtful:
        start_over(s, q)  # a tiny part of the model's step says more of the model than of f
    else:
        if sy <= least * (-s.slope0 * s.stp):
            s.nskip += 1
        else:
            remember(s, q, sy)
        if stop and not passed:
            back_to_best(s)
            move(s, s.best_f)
        set_out(s, q)
        if passed:
            doubt(s, q, passed, taken, before - f)
        else:
            s.doubts = 0


def doubt(
    s: State, q: Scratch, passed: cython.Py_ssize_t, taken: cython.double, gained: cython.double
) -> cython.void:
    """End the run, or look again where the model or the gradient promises more.

    A small reduction is looked at again with the memory first, unless nothing is left to be seen:
    it has to be followed by another, by a step that is no longer than the model foresaw.  Near a
    saddle steps are short in the directions of much curvature, until one follows the direction of
    none.  Three such looks are believed in any case, if the model promises nothing.

    The model is not believed where the gradient says otherwise: in a narrow valley it knows the
    walls before the floor.  So first the memory is dropped.  If the next iterate passes, too, and
    the gradient still objects, the variables may be of sizes too different for a steepest descent,
    and the next step goes by their sizes.  After that the run ends, with success unless the
    gradient objects plainly.  The search that has begun is given up: its first trial has not been
    asked.
    """
    believed: cython.bint = not objects(s)
    certain: cython.bint
    if follows(s, gained):
        return
    if s.doubts == 0 or s.doubts >= LOOKING:
        certain = promises_nothing(s, -s.slope0)
        if (
            (believed or (s.cautious > 4 and s.noise == 0.0 and s.doubts == 0))
            and passed == REDUCTION
            and looks_again(s, taken, certain)
        ):
            return
        believed = believed and certain
        s.doubts = 0
    if s.phase != DONE and s.doubts < 2 and not believed:
        s.doubts += 1
        forget(s)
        s.nreset += 1
        set_out(s, q)
        if s.phase != DONE:
            return
    finish(s, ABNORMAL if contradicted(s) else passed)


def contradicted(s: State) -> cython.bint:
    """Whether the gradient objects plainly to an end."""
    return falls_plainly(s) or (s.cautious > 4 and falls_along(s, 2e-5))


def looks(s: State) -> cython.bint:
    """Whether the iterate had passed, and is looked at again."""
    return LOOKING <= s.doubts < FOLLOWING


def doubted(s: State) -> cython.bint:
    """Whether the iterate is looked at again though the gradient objects."""
    return s.cautious > 4 and objects(s)


def follows(s: State, gained: cython.double) -> cython.bint:
    """Whether an iterate that passed is followed, since the model promises more than was gained.

    Near a minimum each step gains less than the one before.  On the floor of a narrow valley the
    model knows the walls first, and its steps grow from tiny ones: so it goes on with its memory
    as long as they do, if the gradient promises more than a run should miss, or all of f.  Once
    the memory was dropped, only if the floor itself does.
    """
    dropped: cython.bint = s.doubts == 1 or s.doubts == 2 or s.doubts >= FOLLOWING + MOST_FOLLOWED
    if s.cautious < 5 or s.noise > 0.0 or s.phase == DONE or s.k == 0:
        return False
    if speeds_up(s, gained, dropped):
        if s.doubts < FOLLOWING:
            s.doubts = FOLLOWING + MOST_FOLLOWED if dropped else FOLLOWING
            return True
        s.doubts += 1
        if s.doubts != FOLLOWING + MOST_FOLLOWED and s.doubts != FOLLOWING + 2 * MOST_FOLLOWED:
            return True
    if s.doubts >= FOLLOWING:
        s.doubts = 1 if dropped else LOOKING + 2
    return False


def speeds_up(s: State, gained: cython.double, dropped: cython.bint) -> cython.bint:
    """Whether the next step promises more than the last has gained, and it is worth following."""
    if -s.slope0 <= max(gained, 2.9e-14 * fabs(s.f)) or -s.slope0 > 100.0 * gained:
        return False
    if falls_along(s, 1e-6):
        return True
    if dropped or promise(s) <= 0.5 * fabs(s.f):
        return False
    return not promises_nothing(s, -1e4 * s.slope0)


def looks_again(s: State, taken: cython.double, certain: cython.bint) -> cython.bint:
    """Whether the step that is planned has to be seen, too, before a small reduction is an end."""
    longer: cython.bint = taken > 2.0
    if s.cautious < 2 or s.phase == DONE:
        return False
    if s.doubts == 0:
        if certain and promises_nothing(s, -1e4 * s.slope0):
            return False
        s.doubts = LOOKING
        return True
    if (certain and not longer) or s.doubts >= LOOKING + 2:
        return False
    if not longer:
        s.doubts += 1
    return True


def by_size(s: State) -> cython.void:
    """Leave in s.z where the steepest descent leads if each variable is measured by its size.

    So far that the gradient promises what the run would miss, and a tenth of any size at most.
    """
    i: cython.Py_ssize_t
    size: cython.double
    longest: cython.double = 0.0
    slope: cython.double = 0.0
    step: cython.double
    for i in range(s.n):
        size = reach(s, i)
        longest = max(longest, fabs(s.g[i]) * size)
        slope += s.g[i] * size * s.g[i] * size
    step = 0.0
    if slope > 0.0 and finite(slope):
        step = min(0.1 / longest, missed(s) / slope)
    for i in range(s.n):
        size = reach(s, i)
        s.z[i] = min(max(s.x[i] - step * size * s.g[i] * size, s.l[i]), s.u[i])


def promises_nothing(s: State, foreseen: cython.double) -> cython.bint:
    """Whether a decrease is one that the test of the reduction calls small."""
    return foreseen <= s.ftol * max(fabs(s.f), s.unit)


def passed_by_best(s: State, stop: cython.Py_ssize_t, before: cython.double) -> cython.Py_ssize_t:
    """Return the test that the reported point passes where the iterate passes `stop`, or 0."""
    if s.best_f >= s.f:
        return stop
    if is_stationary(s, s.xb, s.gb, s.best_f, projected_gradient_norm(s, s.xb, s.gb)):
        return PROJECTED_GRADIENT
    if not s.hampered and reduction_is_small(s, before, s.best_f):
        return REDUCTION
    return 0


def set_out(s: State, q: Scratch) -> cython.void:
    """Find a direction and start a search along it; drop the memory where it leads nowhere."""
    while not (find_direction(s, q) and begin(s)):
        if s.k == 0:
            finish(s, ABNORMAL)
            return
        forget(s)
        s.nreset += 1
    s.phase = SEARCH


def find_direction(s: State, q: Scratch) -> cython.bint:
    """Leave the minimiser of the model in s.z and the way to it in s.d; False if singular."""
    i: cython.Py_ssize_t
    if s.doubts == 2 and s.k == 0:
        by_size(s)
        subtract(s.z, s.x, s.d, s.n)
        return True
    if not s.constrained and s.k > 0:
        two_loop(s, q)
        for i in range(s.n):
            s.z[i] = s.x[i] + s.d[i]
        return True
    if s.k > 0 and not form_middle(s, q):
        return False
    if not cauchy_point(s, q):
        return False
    update_free_set(s, q)
    if s.k > 0 and q.nfree > 0 and not subspace_minimum(s, q):
        return False
    subtract(s.z, s.x, s.d, s.n)
    return True
