"""Cautious ends on the floor of a narrow valley, which falls on: followed, and not believed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from benchmarks.problems.valleys import Valley
from benchmarks.scaled import tasks
from optdriver import MultiStart
from optdriver.lbfgsb import LBFGSB
from optdriver.lbfgsb.codes import FOLLOWING, MOST_FOLLOWED
from tests.lbfgsb.kernels import both, interpreted
from tests.lbfgsb.problems import same

BOX = [(-3.0, 3.0), (-3.0, 5.0)]
STARTS = [(2.4, 2.9), (2.4, 3.9)]


def parabola(x, walls=1e4, slope=1e-3):
    """Return a floor along y = x^2 / 2, whose minimum is at x = -3."""
    off = x[1] - 0.5 * x[0] ** 2
    f = walls * off * off + slope * x[0]
    return f, np.array([slope - 2.0 * walls * off * x[0], 2.0 * walls * off])


def drive(opt, fun, most):
    while not opt.done and opt.nfev < most:
        opt.tell(*fun(opt.ask()))
    return opt


def is_false(valley, x):
    """Whether a success at `x` leaves 1 per cent of f and 1e-4 of all that was to be gained."""
    f, first = valley.fun(x / valley.units)[0], valley.fun(valley.start)[0]
    return f - valley.least > max(1e-2 * abs(f), 1e-4 * (first - valley.least))


def begun(valley):
    box = np.column_stack([valley.lower, valley.upper]) * valley.units[:, None]
    return LBFGSB(valley.start * valley.units, box, cautious=True)


def told(valley):
    def fun(x):
        f, g = valley.fun(x / valley.units)
        return f * valley.unit, g * valley.unit / valley.units

    return fun


@pytest.mark.parametrize("start", STARTS)
def test_a_floor_is_followed_to_its_end(start):
    opt = drive(LBFGSB(start, BOX, cautious=True), parabola, 5000)
    assert opt.converged
    np.testing.assert_allclose(opt.best[0], [-3.0, 4.5], atol=1e-3)


@pytest.mark.parametrize("start", STARTS)
def test_multi_start_claims_no_success_on_a_floor(start):
    def ended(**rule):
        made = MultiStart(
            BOX, max_num_minimizers=1, initial_samples=[start], maxfun=300, seed=1, **rule
        )
        while not made.done and made.nfev < 250 and len(made.runs) < 2:
            for point in made.ask(1):
                made.tell(point.id, *parabola(point.x))
        return made.runs[0]

    assert ended().state != "converged"
    before = ended(convergence_rule=5)  # as 0.5.0 has recorded it
    assert before.state == "converged"
    assert before.x[0] > 2.0


@pytest.mark.parametrize("seed", range(40))
def test_no_success_is_claimed_in_a_valley_of_any_units(seed):
    valley = Valley(5000 + seed)
    opt = drive(begun(valley), told(valley), 300)
    assert not (opt.converged and is_false(valley, opt.best[0]))


@pytest.mark.parametrize("kernel", both, ids=repr)
def test_a_run_that_follows_is_kept_at_any_point(kernel):
    opt = kernel.LBFGSB(STARTS[0], BOX, cautious=True)
    followed = 0
    for _ in range(40):
        opt.tell(*parabola(opt.ask()))
        again = kernel.LBFGSB.from_dict(opt.to_dict())
        followed += again.state.doubts >= FOLLOWING
        assert same(opt.to_dict(), again.to_dict())
        opt = again
    assert followed > 3
    other = drive(LBFGSB(STARTS[0], BOX, cautious=True), parabola, 40)
    assert np.array_equal(opt.ask(), other.ask())  # compiled, interpreted, kept or not


def test_what_is_followed_is_followed_so_often_at_most():
    """Where the model always promises a little more than is gained, an end is one after all."""
    known = drive(interpreted.LBFGSB(STARTS[1], BOX, cautious=True), parabola, 10)
    assert known.state.doubts >= FOLLOWING
    for doubts in (FOLLOWING + MOST_FOLLOWED - 1, FOLLOWING + 2 * MOST_FOLLOWED - 1):
        now = known.copy().state
        now.doubts = doubts
        gained = -0.5 * now.slope0
        assert not interpreted.machine.follows(now, gained)
        assert now.doubts < FOLLOWING


def test_the_floor_says_nothing_of_noise_and_all_where_no_pair_tells_it_from_walls():
    stopping = interpreted.modules["optdriver.lbfgsb.stopping"]
    state = drive(interpreted.LBFGSB(STARTS[0], BOX, cautious=True), parabola, 10).copy().state
    assert 0.0 < stopping.along_the_floor(state) < stopping.promise(state)
    assert stopping.falls_along(state, 2e-5)
    assert interpreted.machine.contradicted(state)
    state.noise = 1e-6
    assert not stopping.falls_along(state, 2e-5)
    for i in range(len(state.w)):
        state.w[i] = 0.0  # pairs without a change of the gradient
    assert stopping.along_the_floor(state) == stopping.promise(state)


def test_a_noise_that_is_told_lets_no_run_follow_a_floor():
    def ended(**noise):
        opt = LBFGSB(STARTS[1], BOX, cautious=True, **noise)
        followed = 0
        while not opt.done and opt.nfev < 60:
            opt.tell(*parabola(opt.ask()))
            followed += opt.state.doubts >= FOLLOWING
        return followed

    assert ended() > 3
    assert ended(noise=1e-6) == 0


def test_a_limit_in_the_midst_of_a_doubt_is_no_success():
    """A sum of squares in odd units, whose ends are looked at while the gradient objects."""
    task = list(islice(tasks("both"), 3))[2]
    opt = drive(interpreted.LBFGSB(task.x0, task.box, cautious=True), task, 1500)
    cut, looked = opt.copy(), 0
    while not cut.done and cut.nfev < 1600 and looked < 3:
        state = cut.state
        if interpreted.machine.looks(state):
            looked += 1
            limited = cut.copy()
            limited.state.maxfun = limited.nfev + 1
            drive(limited, task, 2000)
            assert limited.done
            assert not limited.converged or not interpreted.machine.doubted(state)
        cut.tell(*task(cut.ask()))
    assert looked == 3
