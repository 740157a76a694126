"""Minima along curves are listed once, those of separate curves apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from optdriver import MultiStart
from optdriver.errors import InputError
from optdriver.multistart.paths import MOST, Path


def of(curve):
    """Return the square of a function with its gradient: its minima are where that is 0."""

    def function(x):
        t, slope = curve(x)
        return float(t * t), 2.0 * t * np.asarray(slope)

    return function


def wave(size, often):
    return of(
        lambda x: (
            x[1] - size * np.sin(often * x[0]),
            [-size * often * np.cos(often * x[0]), 1.0],
        )
    )


def sphere(x):
    return float(x @ x) - 1.0, 2.0 * x


def hyperbola(x):
    return x[0] * x[1] - 0.3, x[::-1]


def product(x):
    return np.prod(x) - 0.5, [np.prod(np.delete(x, i)) for i in range(x.size)]


def helix(x):
    a, b = x[0] - np.cos(3 * x[2]), x[1] - np.sin(3 * x[2])
    along = 6 * (a * np.sin(3 * x[2]) - b * np.cos(3 * x[2]))
    return float(a * a + b * b), np.array([2 * a, 2 * b, along])


def rings(first, second):
    """Two of one centre."""

    def curve(x):
        a, b = x @ x - first**2, x @ x - second**2
        return a * b, 2.0 * x * (a + b)

    return of(curve)


CURVES = {
    "one that winds twice": (wave(1.0, 3.0), [(-1.0, 1.0)] * 2, 1),
    "one with long arms": (wave(0.8, 5.0), [(-1.0, 1.0)] * 2, 1),
    "two branches": (of(hyperbola), [(-2.0, 2.1)] * 2, 2),
    "helix": (helix, [(-1.5, 1.6), (-1.5, 1.6), (-1.0, 1.0)], 1),
    "sphere": (of(sphere), [(-2.0, 2.1)] * 3, 1),
    "on the faces of the box, too": (of(product), [(0.1, 2.0)] * 4, 1),
    "sphere of five": (of(sphere), [(-2.0, 2.1)] * 5, 1),
}


def driven(function, bounds, runs, seed, *, restore=False):
    starts = MultiStart(bounds, max_num_minimizers=runs, jac=True, seed=seed)
    asked = []
    while not starts.done:
        if restore:
            data = json.dumps(starts.to_dict(), default=lambda a: a.tolist())
            starts = MultiStart.from_dict(json.loads(data))
        (point,) = starts.ask(1)
        asked.append(point.x.tobytes())
        starts.tell(point.id, *function(point.x))
    assert all(run.state == "converged" for run in starts.runs)
    return starts, asked


@pytest.mark.parametrize("seed", [2, 6])
@pytest.mark.parametrize("name", CURVES)
def test_a_curve_of_minima_is_listed_once(name, seed):
    """Seed 2 leaves an arc of the first without an end, seed 6 some of the fourth on a face."""
    function, bounds, count = CURVES[name]
    starts, _ = driven(function, bounds, 30, seed)
    assert len(starts.minima) == count
    assert sum(minimum.times_found for minimum in starts.minima) == 30


@pytest.mark.parametrize("radii", [(0.5, 1.0), (0.6, 1.5)])
@pytest.mark.parametrize("n", [2, 3])
def test_ends_of_separate_curves_are_never_one(radii, n):
    """A point that is moved may well land on the other one."""
    starts, _ = driven(rings(*radii), [(-2.0, 2.1)] * n, 30, 4)
    for minimum in starts.minima:
        sizes = [np.linalg.norm(starts.runs[run].x) for run in minimum.runs]
        assert np.ptp(sizes) < 0.01


def test_restored_at_every_point_a_path_is_found_identically():
    function, bounds, _ = CURVES["one that winds twice"]
    whole, asked = driven(function, bounds, 4, 2)
    again, also = driven(function, bounds, 4, 2, restore=True)
    assert also == asked
    assert [m.runs for m in again.minima] == [m.runs for m in whole.minima]


def path(**changed):
    ends = np.array([[0.0, 0.0], [1.0, 0.0]])
    return Path(0, ends, (True,), np.ones(2), 1e-9, -1.0, refused=np.empty((0, 2)), **changed)


def test_a_straight_valley_takes_three_points():
    compared, seen = path(), []
    while not isinstance(compared, bool):
        seen.append(float(compared.point()[0]))
        compared = compared.after(0.0)
    assert compared is True
    assert sorted(seen) == pytest.approx([0.5 * 0.2**0.5, 0.5, 0.5 + 0.5 * 0.2**0.5])


def test_a_point_on_the_face_of_the_box_is_moved_within_the_face():
    """Its gradient points out of the box by far the most."""
    box = np.array([[-1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]])
    ends = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    made = Path(0, ends, (True,), np.ones(3), 0.0, -1.0)
    moved = made.moved(0.01, np.array([0.3, 50.0, 0.2]), box)
    assert moved == pytest.approx([0.5, 0.0, -0.1])
    assert made.moved(0.01, np.array([0.3, 50.0, 0.0]), box) is None
    assert made.moved(0.01, np.array([0.3, np.nan, 0.1]), box) is None


def test_a_long_gap_is_not_closed_by_a_point_that_was_moved():
    compared = path().after(1.0, np.array([0.5, 0.3])).after(0.0)
    assert isinstance(compared, Path)
    assert compared.gaps == (True, True)
    compared = compared.after(1.0, compared.point() + np.array([0.0, 0.01])).after(0.0)
    assert compared.gaps == (True, True, True)
    assert compared.after(0.0).gaps.count(False) == 2  # its point lay on the line


def test_a_path_of_too_many_points_ends():
    compared, count = path(), 0
    while not isinstance(compared, bool):
        compared = compared.after(1.0, compared.point() + np.array([0.0, 0.3])).after(0.0)
        count += 1
    assert compared is False
    assert count == MOST


def test_other_ends_are_those_of_other_directions():
    ends = [(1, np.array([2.0, 0.1]), 0.0), (2, np.array([0.1, 1.0]), 0.0), (3, -np.ones(2), 0.0)]
    assert [index for index, _, _ in path().elsewhere(ends)] == [2, 3]
    assert path().elsewhere([]) == []
    again = Path(0, np.eye(2), (True,), np.ones(2), 0.0, -1.0, refused=np.ones((2, 2)))
    assert again.elsewhere(ends) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"gaps": []},
        {"gaps": [False]},
        {"gaps": [True, True]},
        {"gaps": [True] * (MOST + 1), "found": np.zeros((MOST + 2, 2))},
        {"gaps": ["yes"]},
        {"moves": 99},
        {"highest": np.nan},
        {"refused": [[1.0]]},
        {"at": [np.inf, 0.0]},
        {"width": [0.0, 1.0]},
    ],
)
def test_a_forged_path_is_refused(changed):
    good = path().to_dict()
    assert Path.from_dict(json.loads(json.dumps(good, default=np.ndarray.tolist)), 2).gaps == (
        True,
    )
    with pytest.raises((ValueError, TypeError, KeyError, InputError)):
        Path.from_dict(good | changed, 2)
