"""Ends of one flat minimum are listed once, those of two minima twice."""

from __future__ import annotations

import json

import numpy as np
import pytest

import optdriver
from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart.barriers import FRACTIONS
from optdriver.multistart.paths import Path


def quartic(x):
    return float((x**4).sum()), 4.0 * x**3


def powell(x):
    """Powell's singular function: its Hessian at 0 has rank 2."""
    a, b, c, d = x
    f = (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return float(f), np.array([p + s, 10 * p + r, q - 2 * r, -q - s])


def valley(x):
    """Condition 1e8: nothing can be seen along the first coordinate at the usual tolerances."""
    return float(0.5e-8 * x[0] ** 2 + 0.5 * x[1] ** 2), np.array([1e-8 * x[0], x[1]])


def line(x):
    """Its minima are a line."""
    t = x[0] - x[1]
    return float(t * t), np.array([2 * t, -2 * t])


def ring(x):
    """Its minima are a circle."""
    t = float(x @ x) - 1.0
    return t * t, 4.0 * t * x


def wave(x):
    """Its minima are a curve that winds through the box."""
    t = x[1] - np.sin(3.0 * x[0])
    return float(t * t), np.array([-6.0 * t * np.cos(3.0 * x[0]), 2.0 * t])


def himmelblau(x):
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return float(a * a + b * b), np.array([4 * a * x[0] + 2 * b, 2 * a + 4 * b * x[1]])


def rastrigin(x):
    f = (x * x - 10 * np.cos(2 * np.pi * x) + 10).sum()
    return float(f), 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)


def wells(height, half):
    """Two minima of the same value, `2 half` apart, with a barrier between them."""

    def function(x):
        u = (x[0] - 0.3) / half
        slope = height * 4 * u * (u * u - 1) / half
        return float(height * (u * u - 1) ** 2 + x[1] ** 2), np.array([slope, 2 * x[1]])

    return function


def driven(function, bounds, runs, *, places=1, jac=True, restore=False, **options):
    """Drive a multi-start until `runs` minimizers have converged."""
    options = {"seed": 3} | options
    starts = MultiStart(bounds, max_num_minimizers=runs, jac=jac, **options)
    asked = []
    while not starts.done:
        points = starts.ask(places) or starts.pending
        asked += [(p.id, p.x.tobytes()) for p in points]
        if restore:
            data = json.dumps(starts.to_dict(), default=lambda a: a.tolist())
            starts = MultiStart.from_dict(json.loads(data))
        for point in sorted(starts.pending, key=lambda p: p.id * 7919 % 11)[: (places + 1) // 2]:
            f, g = function(point.x)
            starts.tell(point.id, f, *([g] if jac else []))
    return starts, asked


FLAT = {
    "quartic": (quartic, [(-1.0, 1.3)] * 2),
    "powell": (powell, [(-4.0, 5.0)] * 4),
    "valley": (valley, [(-10.0, 13.0)] * 2),
    "line": (line, [(-1.0, 1.3)] * 2),
}


@pytest.mark.parametrize("jac", [True, False])
@pytest.mark.parametrize("name", FLAT)
def test_a_flat_minimum_is_listed_once_with_its_extent(name, jac):
    function, bounds = FLAT[name]
    before, _ = driven(function, bounds, 12, jac=jac, convergence_rule=2)
    starts, _ = driven(function, bounds, 12, jac=jac)
    (one,) = starts.minima
    ends = np.array([run.x for run in starts.runs if run.state == "converged"])
    assert one.times_found == len(ends)
    assert np.array_equal(one.low, ends.min(axis=0))
    assert np.array_equal(one.high, ends.max(axis=0))
    assert len(before.minima) > 1
    looks = before.nfev // 4  # at small reductions, a second time, which rule 2 has not
    looks += one.times_found * (1 if jac else 3)  # and at a point beside an end
    assert starts.nfev - before.nfev <= len(FRACTIONS) * one.times_found + looks


@pytest.mark.parametrize("seed", [1, 2])
def test_minima_along_a_curve_are_listed_once_with_their_extent(seed):
    starts, _ = driven(ring, [(-2.0, 2.1)] * 2, 30, seed=seed)
    before, _ = driven(ring, [(-2.0, 2.1)] * 2, 30, seed=seed, convergence_rule=3)
    (one,) = starts.minima
    assert len(before.minima) > 20
    assert one.times_found == 30
    assert sorted(one.runs) == list(range(30))
    assert (one.low < -0.9).all()
    assert (one.high > 0.9).all()
    assert starts.nfev < 3 * before.nfev
    starts, _ = driven(wave, [(-1.0, 1.0)] * 2, 40, seed=seed)
    assert len(starts.minima) == 1


@pytest.mark.parametrize("function", [ring, wave])
def test_minima_along_a_curve_are_listed_once_by_differences(function):
    box = [(-2.0, 2.1)] * 2 if function is ring else [(-1.0, 1.0)] * 2
    before, _ = driven(function, box, 15, jac=False, seed=1, convergence_rule=8)
    starts, _ = driven(function, box, 15, jac=False, seed=1)
    (one,) = starts.minima
    assert one.times_found == 15
    assert len(before.minima) > 10
    assert starts.nfev < 3 * before.nfev


def test_what_is_asked_between_ends_does_not_depend_on_being_restored():
    options = {"jac": False, "seed": 1}
    _, asked = driven(ring, [(-2.0, 2.1)] * 2, 2, **options)
    _, again = driven(ring, [(-2.0, 2.1)] * 2, 2, **options, restore=True)
    assert asked == again


def test_differences_between_ends_on_the_faces_stay_in_the_box():
    """Of minima along a curve that leaves the box, by a fourth of a circle at its corner."""
    box = np.array([(0.0, 1.0)] * 2)
    starts = MultiStart(box, max_num_minimizers=12, seed=2, jac=False)
    while not starts.done:
        (point,) = starts.ask(1)
        assert ((box[:, 0] <= point.x) & (point.x <= box[:, 1])).all()
        starts.tell(point.id, ring(point.x)[0])
    assert len(starts.minima) == 1


def rings(x):
    """Its minima are two circles, one in the other."""
    s = float(x @ x)
    t = (s - 1.0) * (s - 2.5)
    return t * t, 4.0 * t * (2.0 * s - 3.5) * x


def test_two_curves_of_minima_are_listed_as_two():
    """Where few ends lie on the one, whose nearest ends are those of the other."""
    before, _ = driven(rings, [(-2.0, 2.1)] * 2, 40, seed=0, convergence_rule=8)
    starts, _ = driven(rings, [(-2.0, 2.1)] * 2, 40, seed=0)
    assert len(before.minima) > 4
    sizes = [float(np.linalg.norm(minimum.x)) for minimum in starts.minima]
    assert sorted(sizes) == pytest.approx([1.0, 2.5**0.5], abs=1e-5)


@pytest.mark.parametrize("jac", [True, False])
def test_a_gradient_by_differences_goes_where_a_told_one_does(jac):
    """At a point between two ends on a circle; with a step that goes too far taken back."""
    box = np.array([(-2.0, 2.1)] * 2)
    ends = np.array([[1.0, 0.0], [0.0, 1.0]])
    path = Path(0, ends, (True,), np.full(2, 4.1), 1e-9, -1e-3)
    for _ in range(200):
        x = path.point()
        f, g = ring(x)
        assert ((box[:, 0] <= x) & (x <= box[:, 1])).all()
        if not jac:
            if path.wants_differences:
                path = path.with_difference(f)
            elif path.can_move(f):
                path = path.differenced(f, np.full(2, 1e-6), box)
            if path.wants_differences:
                continue
            g = None
            if not np.isnan(path.base):
                path, f, g = path.with_gradient()
        outcome = path.after_all(f, g, path.moved(f, g, box), box)
        if isinstance(outcome, bool):
            assert outcome
            return
        path = outcome
        assert np.all(np.abs(np.linalg.norm(path.found, axis=1) - 1.0) < 1e-4)
    raise AssertionError("it has not come to an end")


def test_minima_of_one_value_on_a_circle_stay_apart():
    """Six wells on a ring: the way along it has barriers, and each is a minimum of its own."""

    def wells_on_ring(x):
        f, g = ring(x)
        angle, size = np.arctan2(x[1], x[0]), float(x @ x)
        f += 0.05 * (1 - np.cos(6 * angle))
        across = np.array([-x[1], x[0]]) / size if size else np.zeros(2)
        return f, g + 0.3 * np.sin(6 * angle) * across

    starts, _ = driven(wells_on_ring, [(-2.0, 2.1)] * 2, 30)
    angles = sorted(np.degrees(np.arctan2(m.x[1], m.x[0])) % 360 for m in starts.minima)
    assert sorted(np.round(np.array(angles) / 60) % 6) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("height", [1e-6, 1e-5, 1e-4])
def test_minima_that_nearly_merge_are_told_apart(height):
    """They are 4e-4 of the width apart, less than what is otherwise taken for one minimum."""
    box = [(0.0, 1.0), (-1.0, 1.2)]
    starts, _ = driven(wells(height, 2e-4), box, 12)
    before, _ = driven(wells(height, 2e-4), box, 12, convergence_rule=3)
    assert len(before.minima) == 1
    places = sorted(float(m.x[0]) for m in starts.minima)
    assert places == pytest.approx([0.2998, 0.3002], abs=2e-5)
    assert starts.nfev - before.nfev <= 12


def test_a_minimum_that_several_runs_meet_at_a_time_beside_another_is_listed_once():
    """Each was compared with the only one that was known when it ended, and found to be another."""
    box = [(-0.1, 0.9), (-0.5, 0.5)]
    options = {"places": 16, "num_initial": 16}
    listed = [
        [
            len(
                driven(wells(1e-5, 2e-4), box, 20, seed=k, convergence_rule=rule, **options)[
                    0
                ].minima
            )
            for k in range(3)
        ]
        for rule in (7, 8)
    ]
    assert max(listed[0]) > 2
    assert listed[1] == [2, 2, 2]


def test_noise_does_not_split_a_minimum():
    random = np.random.default_rng(5)

    def noisy(x):
        f, g = valley(x * np.array([1e3, 1.0]))
        f, g = f + x @ x, g * np.array([1e3, 1.0]) + 2 * x
        return f + 3e-8 * random.standard_normal(), g + 1e-4 * random.standard_normal(2)

    starts, _ = driven(noisy, [(-1.0, 1.3)] * 2, 30, ftol=1e-7)
    assert len(starts.minima) == 1


def test_a_point_that_fails_between_close_ends_keeps_them_one():
    starts = MultiStart([(0.0, 1.0), (-1.0, 1.2)], max_num_minimizers=12, seed=3)
    function, failed = wells(1e-6, 2e-4), 0
    while not starts.done:
        (point,) = starts.ask(1)
        if point.kind == "difference":
            failed += 1
            starts.tell_failure(point.id, "no licence")
        else:
            starts.tell(point.id, *function(point.x))
    assert failed > 0
    assert len(starts.minima) == 1


@pytest.mark.parametrize("seed", range(6))
def test_rounding_at_a_minimum_of_zero_is_no_barrier(seed):
    """Ends are exactly 0, and what lies between them is not, in its last digits."""
    starts, _ = driven(line, [(-1.0 + seed / 7, 1.3 + seed / 3)] * 2, 30, seed=seed)
    assert len(starts.minima) == 1


@pytest.mark.parametrize("places", [1, 8])
def test_minima_of_one_value_stay_apart(places):
    starts, _ = driven(himmelblau, [(-5.0, 5.0)] * 2, 20, places=places)
    found = np.array(sorted(m.x.tolist() for m in starts.minima))
    known = [[-3.77931, -3.283186], [-2.805118, 3.131312], [3.0, 2.0], [3.584428, -1.848126]]
    assert found == pytest.approx(np.array(known), abs=1e-4)
    before, _ = driven(himmelblau, [(-5.0, 5.0)] * 2, 20, places=places, convergence_rule=2)
    assert starts.nfev - before.nfev <= 8 + places


def test_minima_of_a_lattice_stay_apart():
    starts, _ = driven(rastrigin, [(-2.6, 2.6)] * 2, 60)
    found = {tuple(np.round(m.x).astype(int).tolist()) for m in starts.minima}
    assert len(found) == len(starts.minima)
    assert len(found) > 20


@pytest.mark.parametrize(
    ("height", "half"),
    [(1e-6, 2e-4), (1e-4, 2e-4), (1e-6, 2e-3), (1.0, 2e-3), (1e-6, 0.1), (1.0, 0.1)],
)
def test_a_low_barrier_is_seen(height, half):
    starts, _ = driven(wells(height, half), [(0.0, 1.0), (-1.0, 1.2)], 12, x_tolerance=1e-5)
    places = sorted(float(m.x[0]) for m in starts.minima)
    assert places == pytest.approx([0.3 - half, 0.3 + half], abs=half / 10)


def test_restored_at_every_point_it_goes_on_identically():
    for places in (1, 5):
        whole, asked = driven(quartic, FLAT["quartic"][1], 8, places=places)
        again, also = driven(quartic, FLAT["quartic"][1], 8, places=places, restore=True)
        assert also == asked
        assert [m.runs for m in again.minima] == [m.runs for m in whole.minima]


@pytest.mark.parametrize("places", [1, 5])
def test_restored_at_every_point_arcs_join_identically(places):
    whole, asked = driven(ring, [(-2.0, 2.1)] * 2, 12, places=places)
    again, also = driven(ring, [(-2.0, 2.1)] * 2, 12, places=places, restore=True)
    assert also == asked
    assert [m.runs for m in again.minima] == [m.runs for m in whole.minima]


def compared(**options):
    """Return a multi-start that has just asked for a point between two ends, and that point."""
    starts = MultiStart(FLAT["line"][1], max_num_minimizers=9, seed=3, **options)
    while True:
        (point,) = starts.ask(1)
        if point.kind == "difference":
            return starts, point
        starts.tell(point.id, *line(point.x))


def test_a_point_that_fails_or_is_much_lower_keeps_two_ends_apart():
    for tell in ("failure", "lower", "higher", "nan"):
        starts, point = compared()
        count = len(starts.minima)
        if tell == "failure":
            starts.tell_failure(point.id, "no licence")
        else:
            value = {"lower": -1.0, "higher": 1e-3, "nan": np.nan}[tell]
            starts.tell(point.id, value, np.zeros(2))
        assert len(starts.minima) == count + 1
        assert starts.runs[point.run].state == "converged"


def test_between_two_ends_the_value_alone_is_wanted():
    starts, point = compared()
    with_gradient = MultiStart.from_dict(starts.to_dict())
    starts.tell(point.id, line(point.x)[0])
    with_gradient.tell(point.id, *line(point.x))
    assert starts.ask(1)[0].x.tobytes() == with_gradient.ask(1)[0].x.tobytes()
    iterate = MultiStart(FLAT["line"][1])
    with pytest.raises(InputError, match="the gradient is missing"):
        iterate.tell(iterate.ask(1)[0].id, 1.0)


def test_a_study_that_knows_the_value_between_two_ends_goes_on():
    """Steps: ends, and what lies between them, are met again and again."""
    study = optdriver.create_study(
        {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}, jac=True, max_num_minimizers=12,
        initial_samples=[[-0.5, 0.0], [0.5, 0.0]] * 3,
    )  # fmt: skip
    points = []

    def step(x, y):
        points.append((x, y))
        return 1.0 + y * y, [0.0, 2.0 * y]

    study.run(step)
    assert len(set(points)) == len(points)
    assert len(study.minima) == 1


def test_the_end_of_all_does_not_lose_an_end_that_is_being_compared():
    starts, point = compared()
    starts.configure(max_num_minimizers=1)
    assert starts.done
    assert starts.runs[point.run].state == "converged"
    ends = [run.index for run in starts.runs if run.state == "converged"]
    assert sorted(run for minimum in starts.minima for run in minimum.runs) == ends
    starts.tell(point.id, *line(point.x))  # it comes too late, and is taken
    starts.configure(max_num_minimizers=9)
    assert MultiStart.from_dict(starts.to_dict()).ask(1)


def test_no_point_between_is_asked_outside_of_the_constraints():
    """The feasible set is a ring around the line's minima, which a chord leaves."""
    rows = ["x1^2 + x2^2 >= 1"]
    study = optdriver.create_study(
        {"x1": (-2.0, 2.1), "x2": (-2.0, 2.1)}, constraints=rows, jac=True, max_num_minimizers=12
    )
    asked = []

    def objective(x1, x2):
        asked.append(x1 * x1 + x2 * x2)
        t = x1 - x2
        return t * t, [2 * t, -2 * t]

    study.run(objective)
    assert min(asked) >= 1.0
    assert len(study.minima) == 2
    sides = sorted(m.x[0] > 0 for m in study.minima)
    assert sides == [False, True]


def test_a_study_shows_the_extent_in_its_own_unit(tmp_path):
    path = tmp_path / "study.db"
    with optdriver.create_study(
        {"a": (-1e-6, 1.3e-6), "b": (-1e3, 1.3e3)}, jac=True, storage=path, max_num_minimizers=8
    ) as study:

        def objective(a, b):
            f, g = quartic(np.array([a * 1e6, b * 1e-3]))
            return f, g * [1e6, 1e-3]

        study.run(objective)
        (one,) = study.minima
        low, high = one.extent
        assert np.all(low <= one.x)
        assert np.all(one.x <= high)
        assert 1e-9 < high[0] - low[0] < 1e-7
        assert 1.0 < high[1] - low[1] < 100.0
    with optdriver.load_study(path) as again:
        assert np.array_equal(again.minima[0].extent, one.extent)


@pytest.mark.parametrize(
    "change",
    [
        {"entry": 99}, {"entry": -1}, {"asked": 3}, {"here": [9.0, 9.0]}, {"there": [np.nan, 0.0]},
        {"highest": "x"}, {"lowest": None},
    ],
)  # fmt: skip
def test_a_forged_comparison_is_refused(change):
    starts, point = compared(convergence_rule=4)
    data = starts.to_dict()
    assert MultiStart.from_dict(data).runs[point.run].state == "running"
    data["runs"][point.run]["between"] |= change
    with pytest.raises(InputError):
        MultiStart.from_dict(data)


@pytest.mark.parametrize(
    "change",
    [
        {"entry": 99}, {"found": [[9.0, 9.0], [0.0, 0.0]]}, {"at": [9.0, 9.0]}, {"width": 1},
        {"step": [np.nan, 1.0]}, {"step": [1.0]}, {"base": 1.0},
        {"base": 1.0, "steps": [9.0, 9.0], "slope": [np.nan, 1.0]},
        {"base": 1.0, "steps": [1e-6, 1e-6], "slope": [2.0, 1.0]},
        {"base": 1.0, "steps": [0.0, 1e-6], "slope": [np.nan, 1.0]},
    ],
)  # fmt: skip
def test_a_forged_path_is_refused(change):
    starts, point = compared()
    data = starts.to_dict()
    assert MultiStart.from_dict(data).runs[point.run].state == "running"
    data["runs"][point.run]["between"] |= change
    with pytest.raises(InputError):
        MultiStart.from_dict(data)


@pytest.mark.parametrize("change", [{"runs": []}, {"starts": []}, {"runs": [[]], "starts": [[]]}])
def test_forged_minima_without_runs_are_refused(change):
    data = compared()[0].to_dict()
    data["minima"] |= change
    with pytest.raises(InputError):
        MultiStart.from_dict(data)
