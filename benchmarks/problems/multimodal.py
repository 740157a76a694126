"""Functions with many minima, each with its gradient, and some of them under constraints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.problems.gkls import GLOBAL, gkls

Vector = NDArray[np.float64]
Function = Callable[[Vector], tuple[float, Vector]]

SAME = 1e-3
"""How near to a known minimum one of a catalogue is, in widths of the box."""

_SHEKEL_A = np.array(
    [[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7],
     [2, 9, 2, 9], [5, 5, 3, 3], [8, 1, 8, 1], [6, 2, 6, 2], [7, 3.6, 7, 3.6]]
)  # fmt: skip
_SHEKEL_C = np.array([0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5])


@dataclass(frozen=True, slots=True)
class Problem:
    """A function with its gradient, its box, and what is known of its minima.

    Attributes
    ----------
    name : str
    function : callable
        Value and gradient.
    bounds : list of (float, float)
    minima : int or None
        How many there are; None where only the lowest is looked for.
    texts : sequence of str
        Constraints over x1, x2, ...
    rows : sequence of callables
        The same as functions that are to be zero or more.
    places : ndarray or None, shape (minima, n)
        The minima, where they are known in closed form.
    least : float or None
        The lowest value, where it is.
    """

    name: str
    function: Function
    bounds: list[tuple[float, float]]
    minima: int | None
    texts: Sequence[str] = field(default=())
    rows: Sequence[Callable[[Vector], float]] = field(default=())
    places: Vector | None = None
    least: float | None = None


def camel(x: Vector) -> tuple[float, Vector]:
    """Six-hump camel (Dixon and Szego 1978)."""
    a, b = x
    f = (4 - 2.1 * a * a + a**4 / 3) * a * a + a * b + (4 * b * b - 4) * b * b
    return float(f), np.array([8 * a - 8.4 * a**3 + 2 * a**5 + b, a + 16 * b**3 - 8 * b])


def himmelblau(x: Vector) -> tuple[float, Vector]:
    """Himmelblau's function (1972): four minima of the value 0."""
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return float(a * a + b * b), np.array([4 * a * x[0] + 2 * b, 2 * a + 4 * b * x[1]])


def rastrigin(x: Vector) -> tuple[float, Vector]:
    """Rastrigin's function (1974)."""
    f = np.sum(x * x - 10 * np.cos(2 * np.pi * x) + 10)
    return float(f), 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)


def shekel(x: Vector) -> tuple[float, Vector]:
    """Shekel's function with ten minima (1971)."""
    d = x - _SHEKEL_A
    q = np.sum(d * d, axis=1) + _SHEKEL_C
    return float(-np.sum(1 / q)), np.asarray(2 * np.sum(d / (q * q)[:, None], axis=0))


def griewank(x: Vector) -> tuple[float, Vector]:
    """Griewank's function (1981)."""
    root = np.sqrt(np.arange(1, x.size + 1))
    cosines = np.cos(x / root)
    g = x / 2000.0
    for i in range(x.size):
        g[i] += np.sin(x[i] / root[i]) / root[i] * np.prod(np.delete(cosines, i))
    return float(1.0 + np.sum(x * x) / 4000.0 - np.prod(cosines)), g


def schwefel(x: Vector) -> tuple[float, Vector]:
    """Schwefel's function (1981), whose best minimum is far from the next one."""
    root = np.sqrt(np.abs(x))
    f = 418.9828872724338 * x.size - np.sum(x * np.sin(root))
    return float(f), -np.sin(root) - 0.5 * root * np.cos(root)


def ackley(x: Vector) -> tuple[float, Vector]:
    """Ackley's function (1987); its gradient at the minimum, a kink, is taken to be zero."""
    n = x.size
    size = float(np.sqrt(x @ x / n))
    wave = float(np.mean(np.cos(2 * np.pi * x)))
    f = -20.0 * np.exp(-0.2 * size) - np.exp(wave) + 20.0 + np.e
    g = 2 * np.pi * np.exp(wave) * np.sin(2 * np.pi * x) / n
    if size > 0.0:
        g = g + 4.0 * np.exp(-0.2 * size) * x / (n * size)
    return float(f), np.asarray(g)


def lennard_jones(x: Vector) -> tuple[float, Vector]:
    """Return the energy of atoms, the first at 0, the second on an axis, the third in a plane."""
    flat = np.zeros(x.size + 6)
    free = [3, 6, 7, *range(9, flat.size)]
    flat[free] = x
    atoms = flat.reshape(-1, 3)
    i, j = np.triu_indices(len(atoms), 1)
    away = atoms[i] - atoms[j]
    inverse = 1.0 / np.sum(away * away, axis=1)
    six = inverse**3
    force = (-48.0 * six * six + 24.0 * six) * inverse
    g = np.zeros_like(atoms)
    np.add.at(g, i, force[:, None] * away)
    np.add.at(g, j, -force[:, None] * away)
    return float(np.sum(4.0 * (six * six - six))), g.ravel()[free]


def cluster(atoms: int, least: float) -> Problem:
    """Return a cluster; its least energies are those of Hoare and Pal (1971).

    They are of a bipyramid (5 and 7 atoms), an octahedron (6) and an icosahedron (13).
    """
    box = [(0.7, 2.5), (-2.0, 2.0), (0.3, 2.5), *[(-2.0, 2.0)] * (3 * atoms - 9)]
    return Problem(f"Lennard-Jones {atoms}", lennard_jones, box, None, least=least)


def generated(
    n: int, seed: int, *, type: str = "D", minima: int = 10, level: str = "simple"
) -> Problem:
    """Return a function of Gaviano, Kvasov, Lera and Sergeyev."""
    made = gkls(n, seed, type=type, minima=minima, level=level)
    return Problem(
        f"GKLS {type} n={n}", made, [(-1.0, 1.0)] * n, minima, places=made.places, least=GLOBAL
    )


def in_disc(seed: int) -> Problem:
    """Return a function of Gaviano and others in two variables, in a disc around the middle."""
    made = generated(2, seed)
    return replace(
        made, name="GKLS D in a disc", minima=None, places=None, least=None,
        texts=("x1^2 + x2^2 <= 0.6",), rows=(lambda x: 0.6 - x @ x,),
    )  # fmt: skip


def wells(n: int, seed: int, number: int = 8) -> Problem:
    """Return a flat bowl with wells of random places, widths and depths, some in each other."""
    random = np.random.default_rng((77, n, number, seed))
    places = random.uniform(0.0, 1.0, (number, n))
    widths, depths = random.uniform(0.05, 0.25, number), random.uniform(0.3, 1.0, number)

    def function(x: Vector) -> tuple[float, Vector]:
        away, beside = x - places, x - 0.5
        depth = depths * np.exp(-0.5 * np.sum(away * away, axis=1) / widths**2)
        f = 0.02 * (beside @ beside) - np.sum(depth)
        return float(f), np.asarray((depth / widths**2) @ away + 0.04 * beside)

    return Problem(f"wells n={n}", function, [(0.0, 1.0)] * n, None)


def waves(n: int, seed: int) -> Problem:
    """Return a bowl with four plane waves of random lengths and directions."""
    random = np.random.default_rng((78, n, seed))
    ways = random.normal(0.0, 1.0, (4, n)) * random.uniform(2.0, 9.0, (4, 1))
    phases, heights = random.uniform(0.0, 6.28, 4), random.uniform(0.3, 1.0, 4)
    bent = random.uniform(1.0, 4.0)

    def function(x: Vector) -> tuple[float, Vector]:
        t, beside = ways @ x + phases, x - 0.5
        f = heights @ np.cos(t) + bent * (beside @ beside)
        return float(f), np.asarray(2.0 * bent * beside - (heights * np.sin(t)) @ ways)

    return Problem(f"waves n={n}", function, [(0.0, 1.0)] * n, None)


def bowl(n: int) -> Problem:
    """Return a sum of squares."""
    box = [(-1.0, 1.2)] * n
    return Problem("bowl", lambda x: (float(x @ x), 2.0 * x), box, 1, places=np.zeros((1, n)))


DISTINCT = [
    Problem("six-hump camel", camel, [(-3.0, 3.0), (-2.0, 2.0)], 6),
    Problem("Himmelblau", himmelblau, [(-5.0, 5.0)] * 2, 4, least=0.0),
    Problem("Rastrigin 25", rastrigin, [(-2.5, 2.5)] * 2, 25, least=0.0),
    Problem("Griewank 2", griewank, [(-10.0, 11.0)] * 2, None, least=0.0),
    Problem("Schwefel 2", schwefel, [(-500.0, 500.0)] * 2, None, least=0.0),
    Problem("Shekel 10", shekel, [(0.0, 10.0)] * 4, 10),
    Problem("Ackley 2", ackley, [(-3.0, 3.5)] * 2, None, least=0.0),
]
"""All of whose minima are looked for."""

LOWEST = [
    Problem("Ackley 3", ackley, [(-30.0, 33.0)] * 3, None, least=0.0),
    Problem("Rastrigin 4", rastrigin, [(-5.12, 5.3)] * 4, None, least=0.0),
    Problem("Griewank 5", griewank, [(-60.0, 66.0)] * 5, None, least=0.0),
    Problem("Schwefel 3", schwefel, [(-500.0, 500.0)] * 3, None, least=0.0),
    cluster(5, -9.103852),
    cluster(6, -12.712062),
    cluster(7, -16.505384),
    cluster(13, -44.326801),
]
"""Of which the lowest is looked for."""

CONSTRAINED = [
    Problem("camel in an ellipse", camel, [(-3.0, 3.0), (-2.0, 2.0)], None,
            ("x1^2/4 + x2^2 <= 1",), (lambda x: 1 - x[0] ** 2 / 4 - x[1] ** 2,)),
    Problem("Himmelblau above a parabola", himmelblau, [(-5.0, 5.0)] * 2, None,
            ("x2 >= x1^2/4 - 2",), (lambda x: x[1] - x[0] ** 2 / 4 + 2,)),
    Problem("Rastrigin in a ring", rastrigin, [(-2.5, 2.5)] * 2, None,
            ("x1^2 + x2^2 <= 5", "x1^2 + x2^2 >= 1.2"),
            (lambda x: 5 - x @ x, lambda x: x @ x - 1.2)),
]  # fmt: skip


def known(problem: Problem) -> Vector:
    """Return the minima, found by SciPy from a grid; from beside each of them it leads back."""
    if problem.places is not None:
        return problem.places
    number = {1: 201, 2: 21, 3: 9}.get(len(problem.bounds), 5)
    lower, upper = np.array(problem.bounds).T
    width = upper - lower

    def apart(x: Vector, y: Vector) -> bool:
        return bool(np.max(np.abs(x - y) / width) > SAME)

    found: list[Vector] = []
    for start in itertools.product(*np.linspace(lower + 0.013 * width, upper, number).T):
        x = _end(problem, np.clip(start, lower, upper))
        if x is not None and all(apart(x, y) for y in found):
            found.append(x)
    beside = np.random.default_rng(1).uniform(-1e-3, 1e-3, (4, width.size)) * width
    return np.array([x for x in found if _holds(problem, x, beside, apart)])


def _holds(
    problem: Problem, x: Vector, beside: Vector, apart: Callable[[Vector, Vector], bool]
) -> bool:
    """Tell whether searches from beside a point lead back to it."""
    lower, upper = np.array(problem.bounds).T
    ends = [_end(problem, np.clip(x + step, lower, upper)) for step in beside]
    return not any(end is not None and apart(end, x) for end in ends)


def _end(problem: Problem, start: Vector) -> Vector | None:
    """Return where a tight search of SciPy ends, None where it finds nothing."""
    rows = [] if not problem.texts else [
        {"type": "ineq", "fun": row} for row in problem.rows
    ]  # fmt: skip
    method = "SLSQP" if rows else "L-BFGS-B"
    options = {"ftol": 1e-14, "maxiter": 300} if rows else {"ftol": 0.0, "gtol": 1e-9}
    result = optimize.minimize(
        problem.function, start, jac=True, method=method, bounds=problem.bounds,
        constraints=rows, options=options,
    )  # fmt: skip
    feasible = all(row["fun"](result.x) >= -1e-9 for row in rows)
    return np.asarray(result.x) if feasible and (result.success or not rows) else None
