"""The functions with many minima are the published ones: gradients, places and values of minima."""

from __future__ import annotations

import itertools
import signal

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import pdist

from benchmarks.global_peers import Counted, Enough, absent, at_most, installed, search_by
from benchmarks.problems.gkls import TYPES, gkls
from benchmarks.problems.multimodal import (
    CONSTRAINED,
    DISTINCT,
    LOWEST,
    Problem,
    generated,
    in_disc,
    known,
    waves,
    wells,
)

PROBLEMS = [*DISTINCT, *LOWEST, *CONSTRAINED, in_disc(0), waves(3, 0), wells(3, 0)]


def slope(function, x: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The gradient by central differences."""
    sides = [(x + part, x - part) for part in np.diag(step)]
    return np.array([(function(a)[0] - function(b)[0]) for a, b in sides]) / (2 * step)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_gradients_are_the_derivatives(problem: Problem) -> None:
    low, high = np.array(problem.bounds).T
    for x in np.random.default_rng(3).uniform(low, high, (4, low.size)):
        f, g = problem.function(x)
        assert np.isfinite(f)
        made = slope(problem.function, x, 1e-7 * (high - low))
        assert g == pytest.approx(made, abs=1e-4 * np.abs(made).max())


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_generated_functions_are_continuous_and_have_their_minima(type: str, n: int) -> None:
    made = gkls(n, 5, type=type, minima=10 if n < 10 else 30)
    random = np.random.default_rng(n)
    for place, value, radius in zip(made.places[1:], made.values[1:], made.radii[1:], strict=True):
        assert made(place)[0] == value
        for direction in random.standard_normal((5, n)):
            unit = direction / np.linalg.norm(direction)
            assert made(place + 1e-3 * radius * unit)[0] > value
            x = place + random.uniform(0.2, 0.9) * radius * unit
            assert made(x)[1] == pytest.approx(slope(made, x, np.full(n, 1e-7)), rel=1e-4, abs=1e-4)
            inner, outer = (made(place + radius * (1 + e) * unit) for e in (-1e-9, 1e-9))
            assert inner[0] == pytest.approx(outer[0], abs=1e-6)
            if type != "ND":
                assert inner[1] == pytest.approx(outer[1], abs=1e-4)
    assert made.values.min() == -1.0 == made.values[1]


def test_balls_do_not_overlap_and_functions_of_a_class_differ() -> None:
    first, second = gkls(3, 0), gkls(3, 1)
    apart = np.linalg.norm(first.places[:, None] - first.places[None], axis=2)
    sums = first.radii[:, None] + first.radii[None]
    np.fill_diagonal(sums, -1.0)
    assert (apart[1:, 1:] > sums[1:, 1:]).all()
    assert not np.array_equal(first.places, second.places)
    assert np.array_equal(first.places, gkls(3, 0).places)


GOLDEN = (1 + 5**0.5) / 2


def bipyramid(waist: int) -> list[list[float]]:
    angles = 2 * np.pi / waist * np.arange(waist)
    return [[0, 0, 1], [0, 0, -1], *([np.cos(t), np.sin(t), 0] for t in angles)]


def icosahedron() -> list[list[float]]:
    signs = list(itertools.product((1, -1), (GOLDEN, -GOLDEN)))
    corners = ([x, y, z] for a, b in signs for x, y, z in ((0, a, b), (a, b, 0), (b, 0, a)))
    return [[0, 0, 0], *corners]


SHAPES = {5: bipyramid(3), 6: bipyramid(4), 7: bipyramid(5), 13: icosahedron()}


@pytest.mark.parametrize("atoms", SHAPES)
def test_least_energies_are_those_of_the_regular_bodies(atoms: int) -> None:
    """Energies by sums over pairs, of bodies with free axis and waist, which the box can hold."""
    body = np.array(SHAPES[atoms], dtype=float)

    def energy(scales: np.ndarray) -> float:
        r = pdist(body * scales[[0, 0, 1]])
        return float(np.sum(4.0 * (r**-12 - r**-6)))

    best = minimize(
        energy, [0.8, 0.8], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}
    )
    problem = next(each for each in LOWEST if each.name == f"Lennard-Jones {atoms}")
    assert best.fun == pytest.approx(problem.least, abs=1e-5)
    x = framed(body * best.x[[0, 0, 1]], np.array(problem.bounds))
    assert problem.function(x)[0] == pytest.approx(best.fun, abs=1e-8)


def framed(atoms: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the coordinates that are free, of an order of the atoms that the box can hold."""
    for first, second, third in itertools.permutations(range(len(atoms)), 3):
        moved = atoms - atoms[first]
        one = moved[second] / np.linalg.norm(moved[second])
        two = moved[third] - (moved[third] @ one) * one
        if np.linalg.norm(two) > 0.1:
            two /= np.linalg.norm(two)
            turned = moved @ np.array([one, two, np.cross(one, two)]).T
            rest = [k for k in range(len(atoms)) if k not in {first, second, third}]
            x = np.array([turned[second][0], *turned[third][:2], *turned[rest].ravel()])
            if np.all((box[:, 0] <= x) & (x <= box[:, 1])):
                return x
    raise AssertionError


def lower_than_all_beside(f: np.ndarray, *, around: bool = False) -> np.ndarray:
    """Return the indices of the points of a grid that are lower than their eight neighbours."""
    if around:  # the second axis is a circle
        inner = np.pad(f, ((0, 0), (1, 1)), mode="wrap")
        wide = np.pad(inner, ((1, 1), (0, 0)), constant_values=np.inf)
    else:
        wide = np.pad(f, 1, constant_values=np.inf)
    n, m = f.shape
    shifts = [(a, b) for a in range(3) for b in range(3) if (a, b) != (1, 1)]
    beside = np.min([wide[a : a + n, b : b + m] for a, b in shifts], axis=0)
    return np.argwhere(f < beside)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"), [("Griewank 2", 20), ("Schwefel 2", 64), ("Ackley 2", 49)]
)
def test_the_known_minima_are_those_of_a_fine_grid(name: str, number: int) -> None:
    problem = next(each for each in DISTINCT if each.name == name)
    places = known(problem)
    axes = [np.linspace(low, high, 181) for low, high in problem.bounds]
    f = np.array([[problem.function(np.array([a, b]))[0] for b in axes[1]] for a in axes[0]])
    lowest = lower_than_all_beside(f)
    assert len(places) == len(lowest) == number
    cells = np.array([axis[1] - axis[0] for axis in axes])
    there = np.array([[axes[0][i], axes[1][j]] for i, j in lowest])
    for place in places:
        assert np.any(np.all(np.abs(there - place) <= 1.5 * cells, axis=1))


@pytest.mark.slow
def test_the_known_minima_in_a_disc_are_those_of_a_fine_grid() -> None:
    problem = in_disc(100)
    places = known(problem)
    radii, angles = np.sqrt(0.6) * np.linspace(0.005, 1.0, 100), np.linspace(0, 2 * np.pi, 201)[:-1]
    grid = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    f = np.array([[problem.function(x)[0] for x in row] for row in grid])
    there = np.array([grid[i, j] for i, j in lower_than_all_beside(f, around=True) if i])
    assert len(places) == len(there)
    for place in places:
        assert np.min(np.linalg.norm(there - place, axis=1)) <= 0.02


def test_peers_are_counted_until_they_meet_the_lowest_value() -> None:
    problem = generated(2, 3)
    counted = Counted(problem, -1.0, 100)
    place = problem.places[0]
    assert counted.value(place) == 0.0
    assert counted.count == 1
    counted.slope(place)
    assert counted.count == 1
    with pytest.raises(Enough):
        counted.value(problem.places[1])
    assert counted.met == 2
    assert search_by("basinhopping", problem, None, -1.0, 3, 0).lowest is None
    assert 3 < search_by("basinhopping", problem, None, -1.0, 4000, 0).lowest <= 4000


def test_what_a_peer_lists_and_what_violates_a_constraint_is_counted() -> None:
    problem = CONSTRAINED[0]
    places = np.array([[0.1, 0.2], [1.0, 0.5]])
    counted = Counted(problem, -1.0, 100, places)
    assert counted.value([0.0, 1.5]) == problem.function(np.array([0.0, 1.5]))[0]
    assert counted.infeasible == 1
    counted.value([0.0898, -0.7126])
    assert counted.met == counted.count == 2
    counted.note([1.001, 0.499])
    assert counted.some == 1
    with pytest.raises(Enough):
        counted.note([0.1, 0.2])
    assert counted.listed == 2
    assert counted.some is None


def test_a_lowest_value_outside_does_not_count() -> None:
    problem = Problem("half", lambda x: (float(x[0]), np.ones(1)), [(-1.0, 1.0)], None,
                      texts=("x1 >= 0",), rows=(lambda x: x[0],))  # fmt: skip
    counted = Counted(problem, 0.0, 100)
    counted.value([-0.5])
    assert counted.met is None
    with pytest.raises(Enough):
        counted.value([0.0])
    assert (counted.met, counted.infeasible) == (2, 1)


def test_a_peer_that_works_on_its_own_is_given_up() -> None:
    with pytest.raises(Enough), at_most(1000.0):
        assert 0.0 < signal.getitimer(signal.ITIMER_VIRTUAL)[0] <= 1001.0
        signal.raise_signal(signal.SIGVTALRM)  # as that clock does, when a busy system lets it
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0.0


def test_peers_are_those_that_take_the_problem() -> None:
    assert "dual_annealing" not in installed(rows=True)
    assert "shgo" in installed(rows=True)
    assert "shgo" not in installed(variables=12)
    assert not {*absent(), "NLopt ISRES"} & set(installed())
