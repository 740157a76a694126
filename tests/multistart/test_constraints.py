"""Under nonlinear constraints: no infeasible point is ever asked, whatever happens."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintError, ConstraintWarning, InputError
from optdriver.multistart import MultiStart
from optdriver.multistart.feasible_starts import FeasibleStarts
from optdriver.space.sampling import Starts
from tests.contracts.driver import Session, objective, plain
from tests.contracts.positions import POSITIONS

SQUARE = [(-1.5, 1.5)] * 2
SIMPLEX = [(0.0, 1.0)] * 3
SETS = {
    "disc": (SQUARE, "x1^2 + x2^2 <= 1"),
    "annulus": (SQUARE, ["x1^2 + x2^2 <= 1", "x1^2 + x2^2 >= 0.9"]),
    "two discs": (SQUARE, "min((x1 - 1)^2 + x2^2, (x1 + 1)^2 + x2^2) <= 0.01"),
    "sickle": (SQUARE, ["x1^2 + x2^2 <= 1", "(x1 - 0.01)^2 + x2^2 >= 1"]),
    "cusp": (SQUARE, ["x1^3 >= x2", "x2 >= -x1^3"]),
    "simplex": (SIMPLEX, "x1 + x2 + x3 == 1"),
    "circle": (SQUARE, "x1^2 + x2^2 == 1"),
    "edge of a ball": (SIMPLEX, ["x1 + x2 + x3 == 1", "x1^2 + x2^2 + x3^2 <= 0.5"]),
}


def make(name, **options):
    bounds, texts = SETS[name]
    how = {"num_initial": 2, "max_num_minimizers": 3, "maxfun": 60, **options}
    return MultiStart(bounds, constraints=texts, **how)


def holds(name, x):
    """The constraints, written once more."""
    a, b = x[0], x[1]
    r = a * a + b * b
    return {
        "disc": r <= 1 + 1e-15,
        "annulus": 0.9 - 1e-15 <= r <= 1 + 1e-15,
        "two discs": (abs(a) - 1) ** 2 + b * b <= 0.01 + 1e-15,
        "sickle": r <= 1 + 1e-15 and (a - 0.01) ** 2 + b * b >= 1 - 1e-15,
        "cusp": abs(b) <= a**3 + 1e-15,
        "simplex": abs(sum(x) - 1) <= 1e-9,
        "circle": abs(r - 1) <= 1e-9,
        "edge of a ball": abs(sum(x) - 1) <= 1e-9 and x @ x <= 0.5 + 1e-15,
    }[name]


@pytest.mark.parametrize("name", SETS)
def test_every_point_asked_is_feasible(name):
    @settings(max_examples=8, deadline=None)
    @given(
        jac=st.booleans(),
        two_sided=st.booleans(),
        rule=st.sampled_from(["sobol", "mlsl", "auto"]),
        sobol=st.booleans(),
        seed=st.integers(0, 50),
        failing=st.sets(st.integers(0, 60), max_size=8),
        step=st.sampled_from([None, 1e-2]),
    )
    def never(jac, two_sided, rule, sobol, seed, failing, step):
        ms = make(
            name,
            jac=jac,
            two_sided=two_sided,
            start_rule=rule,
            sobol_sequence=sobol,
            seed=seed,
            step_size=step,
        )
        lower, upper = np.array(SETS[name][0]).T
        session = Session(ms, seed, failing=failing).run(100)
        assert session.asked
        for point in session.asked:
            assert ms.constraints.is_feasible(point.x)
            assert holds(name, point.x)
            assert np.all((lower <= point.x) & (point.x <= upper))

    never()


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("name", SETS)
def test_minima_pass_the_test_of_optimality(name, jac):
    session = Session(make(name, jac=jac, gtol=1e-4), 1).run(2000)
    converged = [run for run in session.driver.runs if run.state == "converged"]
    assert session.driver.done
    assert converged
    for run in converged:
        assert run.residual <= 1e-4
        assert set(run.active) <= set(session.driver.constraints.names)
        told = jac or not session.driver.constraints.n_equalities
        assert set(run.multipliers) == (set(run.active) if told else set())


@pytest.mark.parametrize("name", ["disc", "annulus", "sickle"])
def test_multipliers_balance_the_gradient(name):
    session = Session(make(name), 3).run(2000)
    constraints = session.driver.constraints
    for run in session.driver.runs:
        if run.state == "converged":
            rows = dict(zip(constraints.names, constraints.jacobian(run.x), strict=True))
            pull = sum((m * rows[row] for row, m in run.multipliers.items()), np.zeros(2))
            np.testing.assert_allclose(objective(run.x)[1] + pull, 0.0, atol=1e-4)


@pytest.mark.parametrize("every", POSITIONS)
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("jac", [True, False])
def test_restored_at_every_point_it_goes_on_identically(name, jac, every):
    straight = Session(make(name, jac=jac), 1, failing={3, 11}).run(40)
    broken = Session(make(name, jac=jac), 1, failing={3, 11})
    for position in range(40):
        if position % every == 0:
            broken.driver = MultiStart.from_dict(plain(broken.driver.to_dict()))
        if not broken.step():
            break
    assert broken.trace() == straight.trace()


@pytest.mark.parametrize("jac", [True, False])
def test_the_order_of_tells_does_not_change_where_a_start_leads(jac):
    found = []
    for seed in range(4):
        ms = make("annulus", jac=jac)
        session = Session(ms, seed, slots=4).run(1000)
        start = {run.index: run.start for run in ms.runs}
        paths = {}
        for point in session.asked:
            paths.setdefault(start[point.run], []).append(point.x.tobytes())
        found.append(paths)
    for paths in found[1:]:
        for key in paths.keys() & found[0].keys():
            assert all(x == y for x, y in zip(paths[key], found[0][key], strict=False))


def test_the_texts_are_stored_once():
    ms = make("disc", num_initial=4)
    ms.ask(4)
    assert json.dumps(plain(ms.to_dict())).count("x1^2 + x2^2 <= 1") == 1


# -- starts


@pytest.mark.parametrize("name", SETS)
def test_starts_depend_on_their_number_only(name):
    one, other = make(name, num_initial=12), make(name, num_initial=1)
    asked = one.ask(12)
    for point in asked:
        (start,) = other.ask(1, fill=True)
        assert start.x.tobytes() == point.x.tobytes()
        other.tell(start.id, *objective(start.x))
        assert {p.run for p in other.ask(len(other._state.ready) or 1)} <= {start.run}  # stays out
        other = MultiStart.from_dict(other.to_dict())
    assert len({point.x.tobytes() for point in asked}) == 12


def test_starts_reach_every_component():
    starts = np.array(
        [p.x for p in make("two discs", num_initial=16, max_num_minimizers=16).ask(16)]
    )
    assert 4 <= np.count_nonzero(starts[:, 0] > 0) <= 12


def test_rare_starts_do_not_pile_up_on_the_boundary():
    tiny = "(x1 - 0.3)^2 + (x2 - 0.2)^2 <= 1e-6"
    ms = MultiStart(SQUARE, constraints=tiny, num_initial=16)
    starts = np.array([p.x for p in ms.ask(16)])
    radius = np.hypot(starts[:, 0] - 0.3, starts[:, 1] - 0.2) / 1e-3
    assert np.all(radius <= 1.0)
    assert np.count_nonzero(radius < 0.98) >= 10


def test_a_violated_sample_is_moved_and_noted():
    ms = MultiStart(SQUARE, constraints="x1^2 + x2^2 <= 1", initial_samples=[[1.2, 1.2], [0, 0.5]])
    (moved,) = ms.moved
    assert (moved.sample, moved.constraint) == (0, "x1^2 + x2^2 <= 1")
    np.testing.assert_allclose(moved.x, [math.sqrt(0.5)] * 2, rtol=1e-6)
    assert ms.ask()[0].x.tobytes() == moved.x.tobytes()
    again = MultiStart.from_dict(plain(ms.to_dict()))
    assert again.moved[0].to_dict().keys() == moved.to_dict().keys()


def test_a_violated_sample_can_be_refused():
    with pytest.raises(InputError, match=r"initial sample 1 violates 'x1\^2 .*project_starts"):
        MultiStart(
            SQUARE,
            constraints="x1^2 + x2^2 <= 1",
            initial_samples=[[0, 0], [1, 1]],
            project_starts=False,
        )


def test_a_sample_out_of_a_bound_in_disguise_is_moved():
    ms = MultiStart(SQUARE, constraints=["x1 <= 0.25"], initial_samples=[[1.0, 1.0]])
    assert ms.ask()[0].x.tolist() == [0.25, 1.0]
    with pytest.raises(InputError, match="x1 <= 0.25"):
        MultiStart(
            SQUARE, constraints=["x1 <= 0.25"], initial_samples=[[1, 1]], project_starts=False
        )


def test_an_empty_set_names_what_resists():
    with pytest.raises(ConstraintError, match="'far' resists|'near' resists"):
        MultiStart(
            SQUARE,
            constraints=[
                {"name": "near", "constraint": "x1^2 + x2^2 <= 1"},
                {"name": "far", "constraint": "x1*x2 >= 1.2"},
            ],
        )


def test_without_a_finite_box_the_samples_are_the_starts():
    ms = MultiStart(
        [(None, None)] * 2, constraints="x1^2 + x2^2 <= 1", initial_samples=[[3.0, 0.0]]
    )
    np.testing.assert_allclose(ms.ask()[0].x, [1.0, 0.0], atol=1e-6)


# -- bounds only, sets, single points


def test_bounds_in_disguise_are_bounds():
    plainly = MultiStart([(-1.5, 0.25), (-1.5, 1.5)], max_num_minimizers=2)
    disguised = MultiStart(SQUARE, constraints="x1 <= 0.25", max_num_minimizers=2)
    one, other = Session(plainly, 0).run(500), Session(disguised, 0).run(500)
    assert one.trace() == other.trace()


def test_a_set_brings_its_own_names_and_numbers():
    bounds = [(-1, 1)] * 2
    known = ConstraintSet("a^2 + b^2 <= r^2", ["a", "b"], bounds, fixed={"r": 0.5})
    ms = MultiStart(bounds, constraints=known)
    assert ms.constraints is known
    assert np.hypot(*ms.ask()[0].x) <= 0.5


@pytest.mark.parametrize(
    ("bounds", "message"),
    [([(-1, 1)], "2 parameters"), ([(-1, 1), (0, 1)], "same bounds")],
)
def test_a_set_must_fit(bounds, message):
    known = ConstraintSet("x^2 + y^2 <= 1", ["x", "y"], [(-1, 1)] * 2)
    with pytest.raises(InputError, match=message):
        MultiStart(bounds, constraints=known)


def test_only_feasible_points_can_be_added():
    ms = make("disc")
    ms.add_point([0.5, 0.5], -3.0)
    with pytest.raises(InputError, match="violates 'x1"):
        ms.add_point([1.0, 1.0], -5.0)
    assert ms.best.f == -3.0


def test_a_single_point_cannot_be_differenced_and_says_so():
    ms = MultiStart(SQUARE, constraints=["x1 + x2 == 0", "x1 == x2"], jac=False)
    assert ms.ask() == []
    assert ms.done
    assert "no feasible finite-difference step" in ms.stop_reason
    assert ms.nfev == 0


def test_a_start_that_its_minimizer_refuses_is_a_failed_run(monkeypatch):
    ms = make("disc", max_num_minimizers=math.inf)

    def refuse(*_, **__):
        raise InputError("nothing feasible here")

    monkeypatch.setattr("optdriver.multistart.local.create", refuse)
    assert ms.ask(2) == []
    assert "nothing feasible here" in ms.stop_reason
    assert {run.state for run in ms.runs} == {"failed"}


@pytest.mark.parametrize(
    ("texts", "least"),
    [
        (["x1^2 + x2^2 <= 1", "(x1 - 0.001)^2 + x2^2 >= 1"], 1e-4),  # a thin sickle
        ("x1^2 + x2^2 <= 1e-6", 1e-4),
        ("min((x1 - 1)^2 + x2^2, (x1 + 1)^2 + x2^2) <= 1e-4", 1e-3),
        ("x1^2 + x2^2 == 1", 1e-2),
    ],
)
def test_starts_keep_away_from_those_before(texts, least):
    ms = MultiStart(SQUARE, constraints=texts, num_initial=24, max_num_minimizers=24)
    starts = np.array([p.x for p in ms.ask(24)])
    apart = np.linalg.norm(starts[:, None] - starts, axis=2) + np.diag(np.full(24, np.inf))
    assert apart.min() >= least


SURFACES = {
    "sphere": ("+".join(f"x{i}^2" for i in range(1, 9)) + " == 1", 8),
    "simplex": ("+".join(f"x{i}" for i in range(1, 7)) + " == 1", 6),
    "product": ("x1*x2*x3 == 0.1", 3),
    "thin shell": ("1 <= x1^2 + x2^2 + x3^2 + x4^2 <= 1.001", 4),
}


@pytest.mark.parametrize("name", SURFACES)
def test_starts_keep_off_the_faces_of_the_box(name):
    """A product of the variables is 0 on a face, and so is its gradient."""
    text, n = SURFACES[name]
    made = ConstraintSet(text, [f"x{i + 1}" for i in range(n)], [(0, 1)] * n)
    found, sequence = FeasibleStarts(made, "sobol", 1), Starts(kind="sobol", seed=1, count=0)
    points = []
    for _ in range(20):
        x, sequence = found.take(sequence)
        assert made.is_feasible(x)
        points.append(x)
    assert np.min(points) > 1e-4
    assert np.max(points) < 1.0 - 1e-4
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]]
    assert min(gaps) > 0.02


def test_a_set_that_lies_on_a_face_has_its_starts_there():
    made = ConstraintSet(
        ["x1 + x2^2 <= 0", "x3 == 0.5*x2 + 0.25"], ["x1", "x2", "x3"], [(0, 1)] * 3
    )
    x, _ = FeasibleStarts(made, "sobol", 0).take(Starts(kind="sobol", seed=0, count=0))
    np.testing.assert_allclose(x, [0.0, 0.0, 0.25], atol=1e-4)


def test_a_product_on_a_sphere_is_found_from_every_start():
    """The best of the product of five variables on the sphere is 5^-2.5, at equal variables."""
    text = "+".join(f"x{i}^2" for i in range(1, 6)) + " == 1"
    ms = MultiStart([(0, 1)] * 5, constraints=text, num_initial=2, max_num_minimizers=4)
    while not ms.done:
        for point in ms.ask(2):
            value = -np.prod(point.x)
            ms.tell(point.id, value, [-np.prod(np.delete(point.x, i)) for i in range(5)])
    assert [run.f for run in ms.runs if run.state == "converged"] == pytest.approx(
        [-(5**-2.5)] * 4, rel=1e-6
    )


def test_differences_on_an_equality_tell_no_multiplier():
    """The price of the equality is 1.5, by hand; along it nothing is known of it."""
    bounds, text = [(0, 4)] * 3, {"name": "demand", "constraint": "x1 + x2 + x3 == 3"}

    def cost(x):
        return 0.5 * x[0] ** 2 + 0.75 * x[1] ** 2 + 1.5 * x[2] ** 2

    found = {}
    for jac in (True, False):
        ms = MultiStart(bounds, constraints=text, jac=jac, max_num_minimizers=1)
        while not ms.done:
            for point in ms.ask(1):
                x = point.x
                ms.tell(point.id, cost(x), [x[0], 1.5 * x[1], 3 * x[2]] if jac else None)
        (run,) = ms.runs
        assert run.active == ("demand",)
        assert run.x == pytest.approx([1.5, 1.0, 0.5], abs=1e-4)
        found[jac] = run.multipliers
    assert abs(found[True]["demand"]) == pytest.approx(1.5, rel=1e-4)
    assert found[False] == {}


@pytest.mark.parametrize("angle", [0.3, 0.7, 1.1, 2.9, 4.4])
def test_a_sample_that_rounding_alone_keeps_out_is_admitted(angle):
    sample = 1.3 * np.array([np.cos(angle), np.sin(angle)])
    for factor in (1.0, 1.0 + 1e-15, 1.0 + 1e-12):
        ms = MultiStart(
            [(-2, 2)] * 2,
            constraints="x1^2 + x2^2 <= 1.69",
            initial_samples=[factor * sample],
            project_starts=False,
        )
        assert ms.moved == ()
        (point,) = ms.ask(1)
        assert point.x @ point.x <= 1.69
        np.testing.assert_allclose(point.x, sample, rtol=1e-8)
    with pytest.raises(InputError, match="violates"):
        MultiStart(
            [(-2, 2)] * 2,
            constraints="x1^2 + x2^2 <= 1.69",
            initial_samples=[1.001 * sample],
            project_starts=False,
        )


@pytest.mark.parametrize(
    ("texts", "points"),
    [
        (["x1^2 + x2^2 <= 0"], 1),
        (["(x1*x2 - 1)^2 + (x1 - x2)^2 <= 0"], 2),
        (["x1^2 == 1", "x2^2 == 1"], 4),
    ],
)
def test_few_points_are_all_found_and_one_alone_is_soon_known(texts, points, monkeypatch):
    made = ConstraintSet(texts, ["x1", "x2"], [(-2, 2)] * 2)
    tried = []
    project = ConstraintSet.project
    monkeypatch.setattr(ConstraintSet, "project", lambda *given: tried.append(1) or project(*given))
    source, sequence, found = FeasibleStarts(made, "sobol", 3), Starts(kind="sobol", seed=3), []
    while not source.are_used(sequence):
        x, sequence = source.take(sequence)
        found.append(x)
    assert len(found) == points
    assert all(made.is_feasible(x, slack=1e-9) for x in found)
    if points == 1:
        assert len(tried) <= 20
    patient = FeasibleStarts(made, "sobol", 3, patient=True)
    np.testing.assert_array_equal(patient.check(), source.check())


@pytest.mark.filterwarnings("ignore:constraint:optdriver.errors.ConstraintWarning")
@pytest.mark.parametrize("rule", [4, 5])
def test_what_holds_to_rounding_alone_is_no_start_where_others_hold_exactly(rule):
    # feasible at x1 = 2 only: below sin(pi/x2) >= 0, or at x2 = 0.5, where that is -2.4e-16
    text, names = "(x1 - 2)^(1/3) <= sin(pi/x2)", ["x1", "x3", "x2"]
    made = ConstraintSet([text], names, [(-1.5, 2.0), (-2.0, 1.0), (0.5, 2.0)]).by_rule(rule)
    starts = FeasibleStarts(made, "sobol", 1, exact=rule > 4)
    sequence, exact = Starts(kind="sobol", seed=1), []
    for _ in range(12):
        x, sequence = starts.take(sequence)
        exact.append(made.is_feasible(x))
    assert all(exact) == (rule > 4)


def test_starts_off_the_faces_are_exact_ones_too(monkeypatch):
    text, names = "(x1 - 2)^(1/3) <= sin(pi/x2)", ["x1", "x3", "x2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstraintWarning)
        made = ConstraintSet([text], names, [(-1.5, 2.0), (-2.0, 1.0), (0.5, 2.0)])
    starts = FeasibleStarts(made, "sobol", 1)
    inside = [[np.array([2.0, 0.0, 1.5])]]
    all_moved = starts._all_moved
    monkeypatch.setattr(starts, "_insides", lambda _points: inside.pop() if inside else [])
    monkeypatch.setattr(  # groups of which no other point arrives exactly
        starts, "_all_moved", lambda points: [m for m in all_moved(points) if not m.strict]
    )
    sequence = Starts(kind="sobol", seed=1)
    for _ in range(12):
        x, sequence = starts.take(sequence)
        assert made.is_feasible(x)
