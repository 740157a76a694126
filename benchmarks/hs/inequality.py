"""Problems 10 to 76 of the collection whose nonlinear rows are all inequalities."""

from __future__ import annotations

from math import log, sqrt

from benchmarks.hs.alkylation import HS67
from benchmarks.hs.problem import INF, Problem, total

ROSENBROCK = "100*(x2 - x1^2)^2 + (1 - x1)^2"

SMALL = [
    Problem(
        name="HS10",
        objective="x1 - x2",
        inequalities=("-3*x1^2 + 2*x1*x2 - x2^2 + 1 >= 0",),
        start=(-10, 10),
        best=-1.0,
    ),
    Problem(
        name="HS11",
        objective="(x1 - 5)^2 + x2^2 - 25",
        inequalities=("-x1^2 + x2 >= 0",),
        start=(4.9, 0.1),
        best=-8.498464223,
    ),
    Problem(
        name="HS12",
        objective="0.5*x1^2 + x2^2 - x1*x2 - 7*x1 - 7*x2",
        inequalities=("25 - 4*x1^2 - x2^2 >= 0",),
        start=(0, 0),
        best=-30.0,
    ),
    Problem(
        name="HS13",
        objective="(x1 - 2)^2 + x2^2",
        inequalities=("(1 - x1)^3 - x2 >= 0",),
        lower=(0, 0),
        start=(-2, -2),
        best=1.0,
        note="a cusp: no constraint qualification holds at the solution",
    ),
    Problem(
        name="HS15",
        objective=ROSENBROCK,
        inequalities=("x1*x2 - 1 >= 0", "x1 + x2^2 >= 0"),
        upper=(0.5, INF),
        start=(-2, 1),
        best=306.5,
    ),
    Problem(
        name="HS16",
        objective=ROSENBROCK,
        inequalities=("x1 + x2^2 >= 0", "x1^2 + x2 >= 0"),
        lower=(-0.5, -INF),
        upper=(0.5, 1),
        start=(-2, 1),
        best=0.25,
    ),
    Problem(
        name="HS17",
        objective=ROSENBROCK,
        inequalities=("x2^2 - x1 >= 0", "x1^2 - x2 >= 0"),
        lower=(-0.5, -INF),
        upper=(0.5, 1),
        start=(-2, 1),
        best=1.0,
    ),
    Problem(
        name="HS18",
        objective="0.01*x1^2 + x2^2",
        inequalities=("x1*x2 - 25 >= 0", "x1^2 + x2^2 - 25 >= 0"),
        lower=(2, 0),
        upper=(50, 50),
        start=(2, 2),
        best=5.0,
    ),
    Problem(
        name="HS19",
        objective="(x1 - 10)^3 + (x2 - 20)^3",
        inequalities=(
            "(x1 - 5)^2 + (x2 - 5)^2 - 100 >= 0",
            "-(x2 - 5)^2 - (x1 - 6)^2 + 82.81 >= 0",
        ),
        lower=(13, 0),
        upper=(100, 100),
        start=(20.1, 5.84),
        best=-6961.813875580,
    ),
    Problem(
        name="HS20",
        objective=ROSENBROCK,
        inequalities=("x1 + x2^2 >= 0", "x1^2 + x2 >= 0", "x1^2 + x2^2 - 1 >= 0"),
        lower=(-0.5, -INF),
        upper=(0.5, INF),
        start=(-2, 1),
        best=81.5 - 25.0 * sqrt(3.0),
    ),
    Problem(
        name="HS21",
        objective="0.01*x1^2 + x2^2 - 100",
        inequalities=("10*x1 - x2 - 10 >= 0",),
        lower=(2, -50),
        upper=(50, 50),
        start=(-1, -1),
        best=-99.96,
    ),
    Problem(
        name="HS22",
        objective="(x1 - 2)^2 + (x2 - 1)^2",
        inequalities=("-x1 - x2 + 2 >= 0", "-x1^2 + x2 >= 0"),
        start=(2, 2),
        best=1.0,
    ),
    Problem(
        name="HS23",
        objective="x1^2 + x2^2",
        inequalities=(
            "x1 + x2 - 1 >= 0",
            "x1^2 + x2^2 - 1 >= 0",
            "9*x1^2 + x2^2 - 9 >= 0",
            "x1^2 - x2 >= 0",
            "x2^2 - x1 >= 0",
        ),
        lower=(-50, -50),
        upper=(50, 50),
        start=(3, 1),
        best=2.0,
    ),
    Problem(
        name="HS24",
        objective="((x1 - 3)^2 - 9)*x2^3/(27*sqrt(3))",
        inequalities=("x1/sqrt(3) - x2 >= 0", "x1 + sqrt(3)*x2 >= 0", "6 - x1 - sqrt(3)*x2 >= 0"),
        lower=(0, 0),
        start=(1, 0.5),
        best=-1.0,
    ),
    Problem(
        name="HS29",
        objective="-x1*x2*x3",
        inequalities=("-x1^2 - 2*x2^2 - 4*x3^2 + 48 >= 0",),
        start=(1, 1, 1),
        best=-16.0 * sqrt(2.0),
    ),
    Problem(
        name="HS30",
        objective="x1^2 + x2^2 + x3^2",
        inequalities=("x1^2 + x2^2 - 1 >= 0",),
        lower=(1, -10, -10),
        upper=(10, 10, 10),
        start=(1, 1, 1),
        best=1.0,
    ),
    Problem(
        name="HS31",
        objective="9*x1^2 + x2^2 + 9*x3^2",
        inequalities=("x1*x2 - 1 >= 0",),
        lower=(-10, 1, -10),
        upper=(10, 10, 1),
        start=(1, 1, 1),
        best=6.0,
    ),
    Problem(
        name="HS33",
        objective="(x1 - 1)*(x1 - 2)*(x1 - 3) + x3",
        inequalities=("x3^2 - x2^2 - x1^2 >= 0", "x1^2 + x2^2 + x3^2 - 4 >= 0"),
        lower=(0, 0, 0),
        upper=(INF, INF, 5),
        start=(0, 0, 3),
        best=sqrt(2.0) - 6.0,
    ),
    Problem(
        name="HS34",
        objective="-x1",
        inequalities=("x2 - exp(x1) >= 0", "x3 - exp(x2) >= 0"),
        lower=(0, 0, 0),
        upper=(100, 100, 10),
        start=(0, 1.05, 2.9),
        best=-log(log(10.0)),
    ),
    Problem(
        name="HS35",
        objective=("9 - 8*x1 - 6*x2 - 4*x3 + 2*x1^2 + 2*x2^2 + x3^2 + 2*x1*x2 + 2*x1*x3"),
        inequalities=("3 - x1 - x2 - 2*x3 >= 0",),
        lower=(0, 0, 0),
        start=(0.5, 0.5, 0.5),
        best=1.0 / 9.0,
    ),
    Problem(
        name="HS36",
        objective="-x1*x2*x3",
        inequalities=("72 - x1 - 2*x2 - 2*x3 >= 0",),
        lower=(0, 0, 0),
        upper=(20, 11, 42),
        start=(10, 10, 10),
        best=-3300.0,
    ),
    Problem(
        name="HS37",
        objective="-x1*x2*x3",
        inequalities=("72 - x1 - 2*x2 - 2*x3 >= 0", "x1 + 2*x2 + 2*x3 >= 0"),
        lower=(0, 0, 0),
        upper=(42, 42, 42),
        start=(10, 10, 10),
        best=-3456.0,
    ),
    Problem(
        name="HS43",
        objective="x1^2 + x2^2 + 2*x3^2 + x4^2 - 5*x1 - 5*x2 - 21*x3 + 7*x4",
        inequalities=(
            "8 - x1^2 - x2^2 - x3^2 - x4^2 - x1 + x2 - x3 + x4 >= 0",
            "10 - x1^2 - 2*x2^2 - x3^2 - 2*x4^2 + x1 + x4 >= 0",
            "5 - 2*x1^2 - x2^2 - x3^2 - 2*x1 + x2 + x4 >= 0",
        ),
        start=(0, 0, 0, 0),
        best=-44.0,
    ),
    Problem(
        name="HS44",
        objective="x1 - x2 - x3 - x1*x3 + x1*x4 + x2*x3 - x2*x4",
        inequalities=(
            "8 - x1 - 2*x2 >= 0",
            "12 - 4*x1 - x2 >= 0",
            "12 - 3*x1 - 4*x2 >= 0",
            "8 - 2*x3 - x4 >= 0",
            "8 - x3 - 2*x4 >= 0",
            "5 - x3 - x4 >= 0",
        ),
        lower=(0, 0, 0, 0),
        start=(0, 0, 0, 0),
        best=-15.0,
    ),
    Problem(
        name="HS59",
        objective=(
            "-75.196 + 3.8112*x1 + 0.0020567*x1^3 - 1.0345e-5*x1^4 + 6.8306*x2 - 0.030234*x1*x2"
            " + 1.28134e-3*x2*x1^2 + 2.266e-7*x1^4*x2 - 0.25645*x2^2 + 0.0034604*x2^3"
            " - 1.3514e-5*x2^4 + 28.106/(x2 + 1) + 5.2375e-6*x1^2*x2^2 + 6.3e-8*x1^3*x2^2"
            " - 7e-10*x1^3*x2^3 - 3.405e-4*x1*x2^2 + 1.6638e-6*x1*x2^3 + 2.8673*exp(0.0005*x1*x2)"
            " - 3.5256e-5*x1^3*x2 - 0.12694*x1^2"
        ),
        inequalities=("x1*x2 - 700 >= 0", "x2 - x1^2/125 >= 0", "(x2 - 50)^2 - 5*(x1 - 55) >= 0"),
        lower=(0, 0),
        upper=(75, 65),
        start=(90, 10),
        best=-7.802789471,
    ),
    Problem(
        name="HS64",
        objective="5*x1 + 50000/x1 + 20*x2 + 72000/x2 + 10*x3 + 144000/x3",
        inequalities=("1 - 4/x1 - 32/x2 - 120/x3 >= 0",),
        lower=(1e-5, 1e-5, 1e-5),
        start=(1, 1, 1),
        best=6299.842428,
    ),
    Problem(
        name="HS65",
        objective="(x1 - x2)^2 + ((x1 + x2 - 10)/3)^2 + (x3 - 5)^2",
        inequalities=("48 - x1^2 - x2^2 - x3^2 >= 0",),
        lower=(-4.5, -4.5, -5),
        upper=(4.5, 4.5, 5),
        start=(-5, 5, 0),
        best=0.9535288567,
    ),
    Problem(
        name="HS66",
        objective="0.2*x3 - 0.8*x1",
        inequalities=("x2 - exp(x1) >= 0", "x3 - exp(x2) >= 0"),
        lower=(0, 0, 0),
        upper=(100, 100, 10),
        start=(0, 1.05, 2.9),
        best=0.5181632741,
    ),
    HS67,
    Problem(
        name="HS72",
        objective="1 + x1 + x2 + x3 + x4",
        inequalities=(
            "0.0401 - 4/x1 - 2.25/x2 - 1/x3 - 0.25/x4 >= 0",
            "0.010085 - 0.16/x1 - 0.36/x2 - 0.64/x3 - 0.64/x4 >= 0",
        ),
        lower=(0.001,) * 4,
        upper=(4e5, 3e5, 2e5, 1e5),
        start=(1, 1, 1, 1),
        best=727.67937,
    ),
    Problem(
        name="HS76",
        objective="x1^2 + 0.5*x2^2 + x3^2 + 0.5*x4^2 - x1*x3 + x3*x4 - x1 - 3*x2 + x3 - x4",
        inequalities=(
            "5 - x1 - 2*x2 - x3 - x4 >= 0",
            "4 - 3*x1 - x2 - 2*x3 + x4 >= 0",
            "x2 + 4*x3 - 1.5 >= 0",
        ),
        lower=(0, 0, 0, 0),
        start=(0.5, 0.5, 0.5, 0.5),
        best=-4.681818182,
    ),
]

# Problem 57: a decaying exponential fitted to 44 observations.
_TIMES = [8] * 2 + [10] * 4 + [12] * 4 + [14] * 3 + [16] * 3 + [18] * 2 + [20] * 3 + [22] * 3
_TIMES += [24] * 3 + [26] * 3 + [28] * 2 + [30] * 3 + [32] * 2 + [34] + [36] * 2 + [38] * 2
_TIMES += [40, 42]
_LEVELS = [49, 49, 48, 47, 48, 47, 46, 46, 45, 43, 45, 43, 43, 44, 43, 43, 46, 45, 42, 42, 43, 41]
_LEVELS += [41, 40, 42, 40, 40, 41, 40, 41, 41, 40, 40, 40, 38, 41, 40, 40, 41, 38, 40, 40, 39, 39]

# Problem 70: a mixture of two gamma densities fitted to 19 observations.
_SEEN = [0.00189, 0.1038, 0.268, 0.506, 0.577, 0.604, 0.725, 0.898, 0.947, 0.845, 0.702, 0.528]
_SEEN += [0.385, 0.257, 0.159, 0.0869, 0.0453, 0.01509, 0.00189]
_AT = [0.1, *(float(i) for i in range(1, 19))]


def _gamma_mixture(c: float) -> str:
    b = "(x3 + (1 - x3)*x4)"
    first = (
        f"x3/(1 + 1/(12*x2))*{b}^x2*(x2/6.2832)^0.5*({c}/7.658)^(x2 - 1)*exp(x2 - {b}*{c}*x2/7.658)"
    )
    second = (
        f"(1 - x3)/(1 + 1/(12*x1))*({b}/x4)^x1*(x1/6.2832)^0.5*({c}/7.658)^(x1 - 1)"
        f"*exp(x1 - {b}*{c}*x1/(7.658*x4))"
    )
    return f"{first} + {second}"


FITS = [
    Problem(
        name="HS57",
        objective="("
        + total(
            [
                f"({level}/100 - x1 - (0.49 - x1)*exp(-x2*({time} - 8)))^2"
                for time, level in zip(_TIMES, _LEVELS, strict=True)
            ]
        )
        + ")",
        inequalities=("0.49*x2 - x1*x2 - 0.09 >= 0",),
        lower=(0.4, -4),
        start=(0.42, 5),
        best=0.02845966972,
    ),
    Problem(
        name="HS70",
        objective=total(
            [f"({_gamma_mixture(c)} - {seen})^2" for c, seen in zip(_AT, _SEEN, strict=True)]
        ),
        inequalities=("x3 + (1 - x3)*x4 >= 0",),
        lower=(1e-5,) * 4,
        upper=(100, 100, 1, 100),
        start=(2, 4, 0.04, 2),
        best=0.007498464,
    ),
]

PROBLEMS = SMALL + FITS
