"""Ends on planes of symmetry: a point beside them tells whether they are minima."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.lbfgsb import LBFGSB, Phase, advance_lanes, start
from optdriver.lbfgsb.options import Options
from tests.lbfgsb.kernels import both as kernels
from tests.lbfgsb.kernels import interpreted
from tests.lbfgsb.problems import same

both = pytest.mark.parametrize("kernel", kernels, ids=str)


def ridge(x):
    """f = x^2 - y^2 + y^4/4: minima of -1 at y^2 = 2, a saddle at 0."""
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4, np.array([2 * x[0], x[1] ** 3 - 2 * x[1]])


def flat_ridge(x):
    """The same of higher order: a saddle without curvature, minima at y^2 = 8/3."""
    y = x[1]
    return x[0] ** 2 - y**4 + y**6 / 4, np.array([2 * x[0], 1.5 * y**5 - 4 * y**3])


def exchange(x):
    """Symmetric under exchange: minima of -1 where x + y = 2 and (x - y)^2 = 2."""
    a, b = x[0] + x[1] - 2.0, x[0] - x[1]
    slope = b**3 - 2 * b
    return a * a - b * b + b**4 / 4, np.array([2 * a + slope, 2 * a - slope])


def wells(x):
    """A sum of bowls and one double well, all symmetric about 0."""
    f = np.sum(x[:-1] ** 2) - x[-1] ** 2 + x[-1] ** 4 / 4
    return f, np.append(2 * x[:-1], x[-1] ** 3 - 2 * x[-1])


def product(x):
    """f = y z, bound by a bowl of fourth order: minima of -1/2 at y = -z = 1 and back."""
    r = x[0] ** 2 + x[1] ** 2
    return x[0] * x[1] + r * r / 8, np.array([x[1] + r * x[0] / 2, x[0] + r * x[1] / 2])


def hill(x):
    return float(np.cos(x).sum()), -np.sin(x)


def coupled(seed, k):
    """Return f of k + 1 variables whose saddle at 0 falls along one way of k of them, of any signs.

    Beside it f rises along others, which are orthogonal to that way; minima of -1/4 on it.
    """
    chance = np.random.default_rng(seed)
    turn, sizes = np.linalg.qr(chance.normal(size=(k, k)))[0], chance.uniform(0.5, 3.0, k)

    def fun(x):
        b = turn.T @ x[1:]
        well, slope = b[0] ** 4 / 4 - b[0] ** 2 / 2, b[0] ** 3 - b[0]
        f = (x[0] - 1.0) ** 2 + well + sizes[1:] @ b[1:] ** 2
        return float(f), np.append(2.0 * x[0] - 2.0, turn @ np.append(slope, 2 * sizes[1:] * b[1:]))

    return fun


def bowl(x):
    return float(x @ x), 2 * x


def differenced(fun):
    """Return `fun`, 5 higher, with forward differences in the place of its gradient."""

    def inner(x):
        f = fun(x)[0]
        return 5.0 + f, np.array([(fun(x + h)[0] - f) / 1e-7 for h in np.eye(x.size) * 1e-7])

    return inner


def drive(opt, fun):
    while not opt.done:
        opt.tell(*fun(opt.ask()))
    return opt


SADDLES = {
    "a plane": (ridge, [1.0, 0.0], -1.0),
    "a stationary start": (ridge, [0.0, 0.0], -1.0),
    "no curvature": (flat_ridge, [1.0, 0.0], -64 / 27),
    "an exchange": (exchange, [3.0, 3.0], -1.0),
    "an exchange from the middle": (exchange, [0.0, 0.0], -1.0),
    "one among many": (wells, np.zeros(7), -1.0),
    "a product": (product, [0.0, 0.0], -0.5),
}


@both
@pytest.mark.parametrize("box", [None, 3.5], ids=["unbounded", "box"])
@pytest.mark.parametrize("name", SADDLES)
def test_a_saddle_on_a_plane_of_symmetry_is_left(kernel, name, box):
    fun, x0, least = SADDLES[name]
    bounds = None if box is None else [(-box, box)] * len(x0)
    opt = drive(kernel.LBFGSB(x0, bounds, cautious=True), fun)
    assert opt.converged
    assert opt.state.left == 1
    assert opt.result.fun == pytest.approx(least, abs=1e-7)
    before = kernel.LBFGSB(x0, bounds, cautious=True)
    before.state.cautious = 5  # as in 0.6.0
    assert drive(before, fun).converged
    assert before.result.fun > least + 0.4


@pytest.mark.parametrize("name", [name for name in SADDLES if name != "no curvature"])
def test_differences_do_not_hide_it(name):
    fun, x0, least = SADDLES[name]
    opt = drive(LBFGSB(x0, [(-3.5, 3.5)] * len(x0), cautious=True), differenced(fun))
    assert opt.converged
    assert opt.result.fun == pytest.approx(5.0 + least, abs=1e-6)


@pytest.mark.parametrize("width", [1e-12, 1e-3, 1e4])
def test_the_step_has_the_unit_of_the_variables(width):
    def fun(x):
        f, g = ridge(np.array([x[0], x[1] / width]))
        return f, g / np.array([1.0, width])

    box = [(-3.0, 3.0), (-3 * width, 3 * width)]
    opt = drive(LBFGSB([1.0, 0.0], box, cautious=True), fun)
    assert opt.result.fun == pytest.approx(-1.0, abs=1e-6)


@both
@pytest.mark.parametrize("k", range(2, 7))
def test_variables_that_are_coupled_hide_no_saddle(kernel, k):
    believed = 0
    for seed in range(8):
        fun, x0 = coupled(seed, k), np.append(2.0, np.zeros(k))
        opt = drive(kernel.LBFGSB(x0, [(-3.0, 3.0)] * (k + 1), cautious=True), fun)
        assert opt.converged
        assert opt.result.fun == pytest.approx(-0.25, abs=1e-8)
        before = kernel.LBFGSB(x0, cautious=True)
        before.state.cautious = 7  # as in 0.9.0
        drive(before, fun)
        believed += before.result.fun > -0.2
    assert believed or k < 4


def test_equal_signs_fall():
    """f rises along (1, -1), and falls along (1, 1)."""

    def fun(x):
        slope = x - 2.0 * x[::-1]
        return float(x @ slope) / 2.0 + float(np.sum(x**4)) / 4.0, slope + x**3

    opt = drive(LBFGSB([0.0, 0.0], cautious=True), fun)
    assert opt.result.fun == pytest.approx(-0.5)
    assert np.abs(opt.result.x) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_beside_a_minimum_there_is_a_point_for_each_that_has_stayed_six_at_most():
    for k in (1, 2, 3, 9):
        chance = np.random.default_rng(k)
        turn = np.linalg.qr(chance.normal(size=(k, k)))[0]
        hessian = turn @ np.diag(chance.uniform(0.5, 3.0, k)) @ turn.T

        def fun(x, h=hessian):
            return float(x @ h @ x), 2.0 * h @ x

        opt = drive(interpreted.LBFGSB(np.zeros(k), cautious=True), fun)
        assert opt.converged
        assert opt.nfev <= 1 + min(k, 6)
        assert np.array_equal(opt.result.x, np.zeros(k))


def test_restored_in_turns_it_goes_on_the_same_way():
    fun, turns = coupled(1, 5), 0
    opt = beside([2.0] + [0.0] * 5, fun)
    while not opt.done:
        twin = interpreted.LBFGSB.from_dict(opt.to_dict())
        if opt.state.beside > 4:
            assert opt.beside > 1
            turns += 1
        for run in (opt, twin):
            run.tell(*fun(run.ask()))
        assert same(twin.to_dict(), opt.to_dict())
    assert turns > 1


def test_what_bends_by_less_than_a_number_can_say_is_an_end():
    for change in (0.0, 1e-306):
        opt = interpreted.LBFGSB([0.0, 0.0], cautious=True)
        opt.tell(0.0, [0.0, 0.0])
        opt.tell(0.0, [change, -change])
        assert opt.converged


def test_a_maximum_is_left_toward_the_inside_of_the_box():
    asked = []
    opt = LBFGSB([0.0, np.pi], [(0.0, 3.0), (2.0, np.pi)], cautious=True)
    while not opt.done:
        asked.append(opt.ask())
        opt.tell(*hill(asked[-1]))
    assert np.all((np.array(asked) >= [0.0, 2.0]) & (np.array(asked) <= [3.0, np.pi]))
    assert opt.result.x[0] == 3.0
    assert opt.result.x[1] == np.pi  # a minimum


def test_steps_turn_round_where_a_bound_is_in_the_way():
    opt = interpreted.LBFGSB([0.0] * 3, [(0.0, 3.0), (0.0, 3.0), (-3.0, 0.0)], cautious=True)
    opt.tell(*hill(opt.ask()))
    assert np.array_equal(np.sign(opt.ask()), [1.0, 1.0, -1.0])
    assert np.array_equal(drive(opt, hill).result.x, [3.0, 3.0, -3.0])


@pytest.mark.parametrize(
    ("fun", "x0"),
    [
        (bowl, [1.0, 0.0]),  # at its minimum from the beginning
        (lambda x: (x[0] ** 2, np.array([2 * x[0], 0.0])), [1.0, 0.5]),  # one has no effect
        (lambda x: (7.0, np.zeros(2)), [1.0, 0.5]),
        (bowl, [2.0, 2.0]),
    ],
)
def test_what_is_no_saddle_costs_one_evaluation(fun, x0):
    opt, before = (LBFGSB(x0, [(-3.0, 3.0)] * 2, cautious=True) for _ in range(2))
    before.state.cautious = 5
    drive(opt, fun), drive(before, fun)
    assert opt.stop == before.stop
    assert opt.nfev == before.nfev + 1
    assert np.array_equal(opt.result.x, before.result.x)


def test_an_end_that_no_symmetry_led_to_costs_nothing():
    def rosenbrock(x):
        a, b = x[1] - x[0] ** 2, 1 - x[0]
        return 100 * a * a + b * b, np.array([-400 * a * x[0] - 2 * b, 200 * a])

    for x0 in ([-1.2, 1.0], [0.3, 0.3]):
        opt, before = LBFGSB(x0, cautious=True), LBFGSB(x0, cautious=True)
        before.state.cautious = 5
        assert drive(opt, rosenbrock).nfev == drive(before, rosenbrock).nfev


def beside(x0=(1.0, 0.0), fun=ridge, kernel=interpreted, **options):
    opt = kernel.LBFGSB(x0, cautious=True, **options)
    while opt.state.phase != Phase.BESIDE:
        opt.tell(*fun(opt.ask()))
    return opt


@both
def test_restored_beside_an_end_it_goes_on_the_same_way(kernel):
    opt = beside((0.0, 0.0, 0.0), wells, kernel)
    while not opt.done:
        twin = kernel.LBFGSB.from_dict(opt.to_dict())
        assert same(twin.to_dict(), opt.to_dict())
        for run in (opt, twin):
            run.tell(*wells(run.ask()))
        assert same(twin.to_dict(), opt.to_dict())
    assert opt.result.fun == pytest.approx(-1.0)


def test_where_nothing_can_be_evaluated_beside_it_the_end_stands():
    opt = beside()
    assert opt.beside == 1
    end = opt.iterate
    opt.tell_failure("a crash")
    assert opt.converged
    assert opt.beside == 0
    assert np.array_equal(opt.result.x, end[0])


@pytest.mark.parametrize("limit", ["maxfun", "maxiter"])
def test_limits_hold_beside_an_end(limit):
    known = beside((0.0, 0.0, 0.0), wells)
    count = known.nfev if limit == "maxfun" else known.nit
    opt = drive(LBFGSB(np.zeros(3), cautious=True, **{limit: max(count, 1)}), wells)
    assert opt.nfev <= known.nfev + (limit == "maxiter") * 50
    one_more = drive(interpreted.LBFGSB(np.zeros(3), cautious=True, maxfun=known.nfev + 1), wells)
    assert one_more.converged  # the end stands: the second point was not asked any more
    assert one_more.nfev == known.nfev + 1
    none = interpreted.LBFGSB([0.0, 0.0], cautious=True, maxiter=0)
    assert drive(none, ridge).nfev == 1


def test_a_flat_ridge_that_ends_at_a_bound_is_followed_as_far_as_there_is_room():
    opt = interpreted.LBFGSB([1.0, 0.0], [(-1.0, 1.0), (0.0, 0.004)], cautious=True)
    drive(opt, flat_ridge)
    assert opt.converged
    assert opt.result.x[1] == 0.004


def test_equal_variables_at_their_bounds_are_left_alone():
    def toward(x):
        return float(np.sum(x)), np.ones(2)

    opt = drive(interpreted.LBFGSB([1.0, 1.0], [(0.0, 2.0)] * 2, cautious=True), toward)
    assert np.array_equal(opt.result.x, [0.0, 0.0])
    assert opt.nfev == 2


def test_equal_variables_of_which_pairs_tell_that_they_were_not_are_left_alone():
    def fun(x):  # the way to (1, 1) from (0, 0) is no straight one
        a, b = x[1] - x[0] ** 2, 1 - x[0]
        return 100 * a * a + b * b, np.array([-400 * a * x[0] - 2 * b, 200 * a])

    opt = drive(interpreted.LBFGSB([0.0, 0.0], [(-2.0, 2.0)] * 2, cautious=True), fun)
    assert opt.converged
    assert opt.state.beside > 0
    assert np.array_equal(opt.state.vector("xt"), opt.state.vector("z"))


def test_fixed_and_narrow_variables_do_not_move():
    box = [(-3.0, 3.0), (0.0, 0.0), (1e6, 1e6 + 1e-9)]

    def fun(x):
        return x[0] ** 2, np.array([2 * x[0], 0.0, 0.0])

    opt = drive(interpreted.LBFGSB([1.0, 0.0, 1e6], box, cautious=True), fun)
    assert opt.converged
    assert opt.nfev == drive(LBFGSB([1.0, 0.0, 1e6], box), fun).nfev


def test_ends_are_left_ten_times_at_most():
    opt = beside()
    opt.state.left = 10
    opt.state.beside = opt.state.phase = 0
    opt.state.vector("xt")[:] = 0.0
    opt.tell(*ridge(opt.ask()))
    assert opt.converged
    assert opt.state.left == 10


def test_lanes_look_beside_their_ends_too():
    states = tuple(start(x, None, Options(cautious=True)) for x in ([1.0, 0.0], [0.7, 0.0]))
    points = np.array([s.vector("xt").copy() for s in states])
    live = list(range(2))
    while live:
        values = [ridge(points[i]) for i in live]
        f, g = np.array([v[0] for v in values]), np.array([v[1] for v in values])
        x = points[live].copy()
        ended = advance_lanes(tuple(states[i] for i in live), f, g, x)
        points[live] = x
        live = [i for place, i in enumerate(live) if place not in ended]
    assert [s.best_f for s in states] == pytest.approx([-1.0, -1.0])


@pytest.mark.parametrize(
    "fields", [{"beside": 0}, {"f0": float("nan")}, {"z": [9.0, np.inf]}, {"xb": [np.nan, 0.0]}]
)
def test_a_state_beside_an_end_that_contradicts_itself_is_refused(fields):
    opt = beside()
    data = opt.to_dict()
    data["state"] |= fields
    with pytest.raises(Exception, match="stored"):
        interpreted.LBFGSB.from_dict(data)


def test_states_of_before_ask_nothing_beside_an_end():
    opt = LBFGSB([1.0, 0.0], cautious=True)
    opt.state.cautious = 5
    data = opt.to_dict()
    data["state"]["version"] = 4
    del data["state"]["beside"], data["state"]["left"]
    opt = drive(LBFGSB.from_dict(data), ridge)
    assert np.array_equal(opt.result.x, [0.0, 0.0])


def forward(fun):
    """Return the value of `fun` with forward differences in the place of its gradient."""

    def inner(x):
        f = fun(x)
        return f, np.array([(fun(x + h) - f) / 1e-8 for h in np.eye(len(x)) * 1e-8])

    return inner


def steep(size, at):
    """Minima of -1.125 times `size` at b^2 = 1.5; the saddle at (at, 0) has the value 0."""
    return lambda x: size * (2.0 * (x[0] - at) ** 2 - 1.5 * x[1] ** 2 + x[1] ** 4 / 2.0)


@both
@pytest.mark.parametrize("size", [40.0, 700.0, 3e5])
@pytest.mark.parametrize("start", [-0.9, 1.7])
def test_errors_of_differences_above_gtol_hide_no_saddle_of_the_value_0(kernel, size, start):
    """They are a part of what f is made of, not of the little that is left of it."""
    fun = forward(steep(size, 0.4))
    opt = drive(kernel.LBFGSB([start, 0.0], [(-3.0, 3.0)] * 2, cautious=True), fun)
    assert opt.converged
    assert opt.result.fun == pytest.approx(-1.125 * size, rel=1e-6)


def test_they_did_before():
    opt = LBFGSB([1.7, 0.0], [(-3.0, 3.0)] * 2, cautious=True)
    opt.state.cautious = 6  # as in 0.7.0
    drive(opt, forward(steep(700.0, 0.4)))
    assert opt.converged
    assert opt.result.fun > -1e-6


def short_way(x):
    """A saddle of 64 to which a way of 0.01 leads, with minima of 48 at y = 1 and -1."""
    a, y = x[0] - 0.3, x[1]
    f, g = 1.0 + 100.0 * a * a - y**2 / 2 + y**4 / 4, np.array([200.0 * a, y**3 - y])
    return 64.0 * f, 64.0 * g


@both
def test_what_falls_by_next_to_nothing_is_followed_farther(kernel):
    """A step of a thousandth of that way gains less than a small reduction."""
    opt = drive(kernel.LBFGSB([0.31, 0.0], cautious=True), short_way)
    assert opt.converged
    assert opt.state.left == 1
    assert opt.result.fun == pytest.approx(48.0, abs=1e-6)


def followed(**options):
    """Return a run that has found a point beside an end to be lower, and asks one farther out."""
    opt = interpreted.LBFGSB([0.31, 0.0], cautious=True, **options)
    while opt.state.beside <= 2:
        opt.tell(*short_way(opt.ask()))
    assert opt.state.phase == Phase.BESIDE
    return opt


def test_from_a_lower_point_beside_an_end_it_goes_on_whatever_is_farther_out():
    crashed, higher = followed(), followed()
    crashed.tell_failure("a crash")
    higher.tell(70.0, np.array([0.0, 1e3]))
    for opt in (crashed, higher):
        assert opt.state.left == 1
        drive(opt, short_way)
        assert opt.converged
        assert opt.result.fun == pytest.approx(48.0, abs=1e-6)


def test_a_limit_while_f_falls_beside_an_end_is_no_success():
    count = followed().nfev
    opt = drive(interpreted.LBFGSB([0.31, 0.0], cautious=True, maxfun=count), short_way)
    assert not opt.converged
    assert opt.nfev == count


def test_restored_farther_out_it_goes_on_the_same_way():
    opt = followed()
    twin = interpreted.LBFGSB.from_dict(opt.to_dict())
    assert drive(twin, short_way).nfev == drive(opt, short_way).nfev
    assert same(twin.to_dict(), opt.to_dict())


def test_a_small_drift_is_no_move():
    """By 5e-5 of the way: an eighth of the step aside is 1.2e-4 of it."""
    opt = interpreted.LBFGSB([1.0, 0.0], [(-3.0, 3.0)] * 2, cautious=True)
    opt.tell(*ridge(opt.ask()))
    x = opt.ask()
    assert x[1] == 0.0
    f, g = ridge(x)
    opt.tell(f, g + np.array([0.0, 1e-4]))  # an error
    drive(opt, ridge)
    assert opt.result.fun == pytest.approx(-1.0, abs=1e-9)


def unit_well(units):
    """Return f of bowls and a double well in the last variable, each in its own unit.

    The well's minima of 1/2 are at 1 and -1 of its unit, where all bowls are at 1, its saddle at 0.
    """
    u = np.asarray(units)

    def fun(x):
        a, b = (x / u)[:-1] - 1.0, x[-1] / u[-1]
        bowl = a + 0.3 * a * a
        slopes = np.append(bowl * (1.0 + 0.6 * a), 2.0 * b * (b * b - 1.0))
        return 0.5 * (1.0 + float(bowl @ bowl) + (b * b - 1.0) ** 2), slopes / u

    return fun


UNITS = [(1e-2, 1e-1, 5.0, 270.0), (1e-2, 1e-1, 1e3), (1e-2, 1.0, 500.0)]


def in_units(units, kernel, rule, noise=0.0):
    """Run from the well's saddle with gradients, those that are wrong by `noise`."""
    u, chance, fun = np.array(units), np.random.default_rng(0), unit_well(units)
    x0 = np.append(np.linspace(-0.2, 1.8, u.size - 1), 0.0) * u
    opt = kernel.LBFGSB(x0, np.column_stack([-3.0 * u, 3.0 * u]), cautious=True)
    opt.state.cautious = rule
    while not opt.done:
        f, g = fun(opt.ask())
        opt.tell(f, g + noise * chance.normal(size=u.size) / u)
    return opt


@both
@pytest.mark.parametrize("noise", [0.0, 1e-9])
@pytest.mark.parametrize("units", UNITS, ids=str)
def test_a_variable_of_a_large_unit_that_has_slid_a_little_slides_on(kernel, units, noise):
    opt = in_units(units, kernel, 9, noise)
    assert opt.converged
    assert abs(opt.result.x[-1]) / units[-1] == pytest.approx(1.0, abs=1e-2)
    assert opt.result.fun == pytest.approx(0.5, abs=1e-5)
    assert opt.state.left == 2
    before = in_units(units, kernel, 8, noise)  # as in 0.10.0
    assert before.converged
    assert abs(before.result.x[-1]) / units[-1] < 0.1


def test_restored_where_it_slides_on_it_goes_on_the_same_way():
    units = UNITS[0]
    u, fun = np.array(units), unit_well(units)
    x0 = np.append(np.linspace(-0.2, 1.8, u.size - 1), 0.0) * u
    opt = LBFGSB(x0, np.column_stack([-3.0 * u, 3.0 * u]), cautious=True)
    while not (opt.state.left == 1 and opt.state.phase == Phase.BESIDE):
        opt.tell(*fun(opt.ask()))
    assert opt.ask()[-1] == pytest.approx(8.0 * opt.state.vector("z")[-1])
    other = LBFGSB.from_dict(opt.to_dict())
    assert drive(other, fun).result.x.tolist() == drive(opt, fun).result.x.tolist()


def test_without_room_for_it_nothing_slides_on():
    units = UNITS[0]
    opt = in_units(units, interpreted, 9)
    u = np.array(units)
    x0 = np.append(np.linspace(-0.2, 1.8, u.size - 1), 0.0) * u
    box = np.column_stack([-3.0 * u, 3.0 * u])
    box[-1] = np.array([-0.01, 0.01]) * u[-1]
    narrow = drive(interpreted.LBFGSB(x0, box, cautious=True), unit_well(units))
    assert np.abs(narrow.result.x / u)[-1] <= 0.01
    assert narrow.nfev < opt.nfev


def test_of_equal_variables_with_unequal_slopes_none_is_moved():
    opt = beside([2.0, 2.0], bowl)
    s = opt.state
    s.vector("xb")[:] = 1.0
    s.vector("gb")[:] = 1.0, 2.0
    assert not interpreted.saddles.step_aside(s)


def banana_beside(seed, k):
    """Return f of Rosenbrock's function and a coupled saddle, 30 times as high, and its units.

    From (-0.2, 1) and the saddle it takes some thirty iterations; its minima are of -7.5.
    """
    saddle = coupled(seed, k)
    units = np.append([1.0, 1.0], 10.0 ** np.random.default_rng(seed).uniform(-1, 1, k))

    def fun(x):
        a, b = (x / units)[:2]
        f, g = saddle(np.append(1.0, (x / units)[2:]))
        c = b - a * a
        slopes = [-400 * a * c - 2 * (1 - a), 200 * c, *g[1:]]
        return 30 * (f + 100 * c * c + (1 - a) ** 2), 30 * np.array(slopes) / units

    return fun, units


DRIFTS = [(2, 92, 1e-7), (3, 65, 1e-8), (5, 5, 1e-8)]


def drifting(kernel, rule, k, seed, error):
    """Begin at a coupled saddle by gradients that are wrong by `error`."""
    (fun, units), chance = banana_beside(seed, k), np.random.default_rng(0)
    box = np.column_stack([-3.0 * units, 3.0 * units])
    opt = kernel.LBFGSB(np.append([-0.2, 1.0], np.zeros(k)), box, cautious=True)
    opt.state.cautious = rule

    def told(x):
        f, g = fun(x)
        return f, g + error * chance.normal(size=k + 2)

    return opt, told


@both
@pytest.mark.parametrize(("k", "seed", "error"), DRIFTS)
def test_where_errors_have_led_coupled_variables_is_asked_at_last(kernel, k, seed, error):
    opt = drive(*drifting(kernel, 9, k, seed, error))
    assert opt.converged
    assert opt.result.fun == pytest.approx(-7.5, abs=1e-6)
    assert opt.state.left == 1
    before = drive(*drifting(kernel, 8, k, seed, error))  # as in 0.11.0
    assert before.converged
    assert before.result.fun == pytest.approx(0.0, abs=1e-6)


def test_restored_where_variables_have_drifted_it_goes_on_the_same_way():
    opt, told = drifting(kernels[0], 9, *DRIFTS[0])
    while not (opt.state.phase == Phase.BESIDE and opt.state.beside > 12):
        opt.tell(*told(opt.ask()))
    assert opt.beside == 1  # its value says enough where it is not lower
    z, x = opt.state.vector("z"), opt.ask()
    way = (x - z)[1:] / (z - [-0.2, 1.0, 0.0, 0.0])[1:]  # the second is at 1 again
    assert way == pytest.approx(np.full(3, way[2]))
    assert x[0] == z[0]
    other, fun = LBFGSB.from_dict(opt.to_dict()), banana_beside(92, 2)[0]
    assert drive(other, fun).result.x.tolist() == drive(opt, fun).result.x.tolist()


@both
def test_beside_a_minimum_where_variables_have_drifted_costs_a_value(kernel):
    opt = beside([0.0, 0.0, 3.0], bowl, kernel)
    opt.tell(*bowl(opt.ask()))  # no variable has drifted: they are turned
    counts = []
    for rule in (8, 9):
        chance = np.random.default_rng(1)
        opt = kernel.LBFGSB([0.0, 0.0, 3.0], [(-5.0, 5.0)] * 3, cautious=True)
        opt.state.cautious = rule
        while not opt.done:
            f, g = bowl(opt.ask())
            opt.tell(1.0 + f, g + 1e-7 * chance.normal(size=3))
        assert opt.converged
        assert np.abs(opt.result.x).max() < 1e-6
        counts.append(opt.nfev)
    assert counts[1] == counts[0] + 1
