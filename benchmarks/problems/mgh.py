"""The Moré-Garbow-Hillstrom collection: starts and known minima of its 35 problems."""

from __future__ import annotations

import math

import numpy as np

from . import mgh_larger as larger
from . import mgh_small as small
from .problem import Problem, Residuals, Vector, sum_of_squares, vector

PAPER = "Moré, Garbow, Hillstrom, ACM Trans. Math. Softw. 7 (1981) 17"


def ramp(n: int) -> Vector:
    """Return t (t - 1) on the inner points of [0, 1]: the start of problems 28 and 29."""
    t = np.arange(1, n + 1) / (n + 1)
    return t * (t - 1.0)


def make(
    name: str,
    residuals: Residuals,
    x0: object,
    f_star: float | None = 0.0,
    published: str | None = None,
    *,
    minima: tuple[float, ...] = (),
    x_star: object = None,
    smooth: bool = True,
) -> Problem:
    """Build a Problem of this collection from its residuals."""
    return Problem(
        name=name,
        fun=sum_of_squares(residuals),
        x0=np.array(x0, dtype=float),
        f_star=f_star,
        published=published,
        minima=minima,
        x_star=None if x_star is None else np.array(x_star, dtype=float),
        smooth=smooth,
        source=PAPER,
    )


def few_variables() -> list[Problem]:
    """Problems 1 to 16."""
    return [
        make("MGH01 Rosenbrock", small.rosenbrock, [-1.2, 1.0], x_star=[1, 1]),
        make(
            "MGH02 Freudenstein-Roth",
            small.freudenstein_roth,
            [0.5, -2.0],
            x_star=[5, 4],
            minima=(48.98425367924,),
        ),
        make("MGH03 Powell badly scaled", small.powell_badly_scaled, [0.0, 1.0]),
        make("MGH04 Brown badly scaled", small.brown_badly_scaled, [1.0, 1.0], x_star=[1e6, 2e-6]),
        make("MGH05 Beale", small.beale, [1.0, 1.0], x_star=[3.0, 0.5]),
        make("MGH06 Jennrich-Sampson", small.jennrich_sampson, [0.3, 0.4], None, "124.362"),
        make(
            "MGH07 helical valley",
            small.helical_valley,
            [-1.0, 0.0, 0.0],
            x_star=[1, 0, 0],
        ),
        make("MGH08 Bard", small.bard, np.ones(3), None, "8.21487e-3", minima=(17.4286,)),
        make("MGH09 Gaussian", small.gaussian, [0.4, 1.0, 0.0], None, "1.12793e-8"),
        make("MGH10 Meyer", small.meyer, [0.02, 4000.0, 250.0], None, "87.9458"),
        make("MGH11 Gulf", small.gulf, [5.0, 2.5, 0.15], x_star=[50, 25, 1.5], smooth=False),
        make("MGH12 Box", small.box(10), [0.0, 10.0, 20.0], x_star=[1, 10, 1]),
        make(
            "MGH13 Powell singular", small.powell_singular, [3.0, -1.0, 0.0, 1.0], x_star=[0.0] * 4
        ),
        make("MGH14 Wood", small.wood, [-3.0, -1.0, -3.0, -1.0], x_star=[1.0] * 4),
        make(
            "MGH15 Kowalik-Osborne",
            small.kowalik_osborne,
            [0.25, 0.39, 0.415, 0.39],
            None,
            "3.07505e-4",
        ),
        make("MGH16 Brown-Dennis", small.brown_dennis, [25.0, 5.0, -5.0, -1.0], None, "85822.2"),
    ]


def more_variables() -> list[Problem]:
    """Problems 17 to 27."""
    exp6_start = [1.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    osborne_2_start = [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5]
    return [
        make("MGH17 Osborne 1", larger.osborne_1, [0.5, 1.5, -1, 0.01, 0.02], None, "5.46489e-5"),
        make(
            "MGH18 Biggs EXP6",
            larger.biggs_exp6,
            exp6_start,
            x_star=[1, 10, 1, 5, 4, 3],
            minima=(5.655649925e-3,),
        ),
        make("MGH19 Osborne 2", larger.osborne_2, osborne_2_start, None, "4.01377e-2"),
        make("MGH20 Watson 6", larger.watson, np.zeros(6), None, "2.28767e-3"),
        make("MGH20 Watson 9", larger.watson, np.zeros(9), None, "1.39976e-6"),
        make("MGH20 Watson 12", larger.watson, np.zeros(12), None, "4.72238e-10"),
        make("MGH23 penalty I, 10", larger.penalty_1, np.arange(1.0, 11), None, "7.08765e-5"),
        make("MGH24 penalty II, 4", larger.penalty_2, np.full(4, 0.5), None, "9.37629e-6"),
        make("MGH24 penalty II, 10", larger.penalty_2, np.full(10, 0.5), None, "2.93660e-4"),
        make(
            "MGH25 variably dimensioned",
            larger.variably_dimensioned,
            1.0 - np.arange(1.0, 21) / 20,
            x_star=np.ones(20),
        ),
        make(
            "MGH26 trigonometric",
            larger.trigonometric,
            np.full(10, 0.1),
            x_star=np.zeros(10),
            minima=(2.795056121876e-5,),
        ),
        make(
            "MGH27 Brown almost linear",
            larger.brown_almost_linear,
            np.full(10, 0.5),
            x_star=np.ones(10),
            minima=(1.0,),
        ),
    ]


def any_number_of_variables() -> list[Problem]:
    """Problems 21, 22 and 28 to 35, at sizes where a limited memory is limited."""
    return [
        make(
            "MGH21 extended Rosenbrock",
            extended_rosenbrock_residuals,
            np.tile([-1.2, 1.0], 50),
            x_star=np.ones(100),
        ),
        make(
            "MGH22 extended Powell singular",
            small.powell_singular,
            np.tile([3.0, -1.0, 0.0, 1.0], 15),
            x_star=np.zeros(60),
        ),
        make("MGH28 discrete boundary value", larger.discrete_boundary_value, ramp(30)),
        make("MGH29 discrete integral", larger.discrete_integral, ramp(50)),
        make("MGH30 Broyden tridiagonal", larger.broyden_tridiagonal, np.full(100, -1.0)),
        make("MGH31 Broyden banded", larger.broyden_banded, np.full(50, -1.0)),
        make(
            "MGH32 linear, full rank",
            larger.linear_full_rank(60),
            np.ones(40),
            20.0,
            x_star=np.full(40, -1.0),
        ),
        make("MGH33 linear, rank 1", larger.linear_rank_1(20), np.ones(10), 20 * 19 / (2 * 41)),
        make(
            "MGH34 linear, rank 1, zeros",
            larger.linear_rank_1_zeros(20),
            np.ones(10),
            (20**2 + 3 * 20 - 6) / (2 * 37),
        ),
        make("MGH35 Chebyquad 7", larger.chebyquad, np.arange(1, 8) / 8),
        make("MGH35 Chebyquad 8", larger.chebyquad, np.arange(1, 9) / 9, None, "3.51687e-3"),
        make("MGH35 Chebyquad 9", larger.chebyquad, np.arange(1, 10) / 10),
        make(
            "MGH35 Chebyquad 10",
            larger.chebyquad,
            np.arange(1, 11) / 11,
            None,
            minima=(6.503954834e-3,),  # the paper's value; lower ones have been found since
        ),
    ]


def extended_rosenbrock_residuals(x: Vector) -> tuple[Vector, Vector]:
    """Problem 21: pairs of Rosenbrock residuals."""
    a, b = x[::2], x[1::2]
    blocks = np.zeros((a.size, 2, 2), dtype=x.dtype)
    blocks[:, 0, 0], blocks[:, 0, 1], blocks[:, 1, 0] = -20.0 * a, 10.0, -1.0
    r = np.stack([10.0 * (b - a**2), 1.0 - a], axis=-1).ravel()
    return r, small.block_diagonal(blocks)


def problems() -> list[Problem]:
    """All of the collection, without bounds."""
    return few_variables() + more_variables() + any_number_of_variables()


# Bounds: D. M. Gay, "A trust region approach to linearly constrained optimization", in
# Numerical Analysis, Lecture Notes in Mathematics 1066 (Springer 1984) 72-105.  Infimum values
# as on A. Neumaier's page on these bounds, where it has them.
INF = math.inf
GAY: dict[str, tuple[object, object, str | None]] = {
    "MGH03 Powell badly scaled": ([0, 1], [1, 9], "1.51259e-10"),
    "MGH04 Brown badly scaled": ([0, 3e-5], [1e6, 100], "784.0"),
    "MGH05 Beale": ([0.6, 0.5], [10, 100], "0.0"),
    "MGH07 helical valley": ([-100, -1, -1], [0.8, 1, 1], "0.99042212"),
    "MGH09 Gaussian": ([0.398, 1, -0.5], [4.2, 2, 0.1], "1.12793e-8"),
    "MGH11 Gulf": ([1e-16, 0, 0], [10, 10, 10], None),
    "MGH12 Box": ([0, 5, 0], [2, 9.5, 20], "0.30998153e-5"),
    "MGH13 Powell singular": ([0.1, -20, -1, -1], [100, 20, 1, 50], None),
    "MGH14 Wood": ([-100] * 4, [0, 10, 100, 100], "1.5567008"),
    "MGH16 Brown-Dennis": ([-10, 0, -100, -20], [100, 15, 0, 0.2], "0.88860479e5"),
    "MGH18 Biggs EXP6": ([0, 0, 0, 1, 0, 0], [2, 8, 1, 7, 5, 5], "0.53209865e-3"),
    "MGH19 Osborne 2": (
        [1, 0.5, 0, 0.6, 0, 0, 0, 0, 0, 0, 0],
        [150, 100, 100, 100, 100, 500, 500, 500, 100, 10, 10],
        None,
    ),
    "MGH20 Watson 6": ([-0.015] + [-10] * 5, [10] + [100] * 4 + [0.99], None),
    "MGH20 Watson 9": (
        [-1e-5, 0, 0, 0, 0, -3, 0, -3, 0],
        [1e-5, 0.9, 0.1, 1, 1, 0, 4, 0, 2],
        None,
    ),
    "MGH20 Watson 12": (
        [-1, 0, -1, -1, -1, 0, -3, 0, -10, 0, -5, 0],
        [0, 0.9, 0, 0.3, 0, 1, 0, 10, 0, 10, 0, 1],
        None,
    ),
    "MGH21 extended Rosenbrock": (np.tile([-50.0, 0.0], 50), np.tile([0.5, 100.0], 50), "12.5"),
    "MGH22 extended Powell singular": (
        np.tile([0.1, -20, -1, -1], 15),
        np.tile([100.0, 20, 1, 50], 15),
        None,
    ),
    "MGH23 penalty I, 10": ([0, 1, 0, 0, 0, 1, 0, 0, 0, 1], [100] * 10, None),
    "MGH24 penalty II, 4": ([-10, 0.3, 0, -1], [50, 50, 50, 0.5], None),
    "MGH24 penalty II, 10": (
        [-10, 0.1, 0, 0.05, 0, -10, 0, 0.2, 0, 0],
        [50] * 9 + [0.5],
        None,
    ),
    "MGH25 variably dimensioned": ([0] * 20, [10 * i for i in range(1, 20)] + [0.5], None),
    "MGH26 trigonometric": (10.0 * np.arange(10), 10.0 * np.arange(1, 11), None),
    "MGH27 Brown almost linear": (
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [100, 100, 0.9, 100, 100, 100, 100, 100, 100, 100],
        None,
    ),
}


def bounded() -> list[Problem]:
    """Gay's bounded variants: most have active bounds at the minimum."""
    free = {problem.name: problem for problem in problems()}
    free["MGH12 Box"] = make("MGH12 Box", small.box(3), [0.0, 10.0, 20.0])  # Gay's has m = 3
    return [
        Problem(
            name=f"{name}, bounded",
            fun=free[name].fun,
            x0=free[name].x0,
            lower=vector(lower),  # type: ignore[arg-type]
            upper=vector(upper),  # type: ignore[arg-type]
            published=published,
            smooth=free[name].smooth,
            source=f"{PAPER}; bounds: Gay, Lect. Notes Math. 1066 (1984) 72",
        )
        for name, (lower, upper, published) in GAY.items()
    ]
