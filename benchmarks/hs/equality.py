"""Problems 6 to 81 of the collection that have equalities."""

from __future__ import annotations

from math import asin, exp, sqrt

from benchmarks.hs.problem import INF, Problem

_H54 = (
    "((x1 - 1e4)^2/6.4e7 + (x1 - 1e4)*(x2 - 1)/2e4 + (x2 - 1)^2)/0.96"
    " + (x3 - 2e6)^2/4.9e13/0.96 + (x4 - 10)^2/2.5e3 + (x5 - 1e-3)^2/2.5e-3 + (x6 - 1e8)^2/2.5e17"
)
_A56 = asin(sqrt(1.0 / 4.2))
_B56 = asin(sqrt(5.0 / 7.2))
_ROW80 = (
    "x1^2 + x2^2 + x3^2 + x4^2 + x5^2 - 10 == 0",
    "x2*x3 - 5*x4*x5 == 0",
    "x1^3 + x2^3 + 1 == 0",
)


def _inspection(name: str, a: float, b: float, n: int, best: float) -> Problem:
    """Cost of sampling inspection: Phi is the normal distribution, written with erf."""
    shift = sqrt(n)
    return Problem(
        name=name,
        objective=(f"({a}*{n} - ({b}*(exp(x1) - 1) - x3)/(exp(x1) - 1 + x4)*x4)/x1"),
        definitions={
            "below": "(1 + erf(-x2/sqrt(2)))/2",
            "up": f"(1 + erf((-x2 + {shift})/sqrt(2)))/2",
            "down": f"(1 + erf((-x2 - {shift})/sqrt(2)))/2",
        },
        equalities=("x3 - 2*below == 0", "x4 - up - down == 0"),
        lower=(1e-4, 0, 0, 0),
        upper=(100, 100, 2, 2),
        start=(1, 1, 1, 1),
        best=best,
    )


def _network(name: str, a: float, best: float) -> Problem:
    return Problem(
        name=name,
        objective="3*x1 + 1e-6*x1^3 + 2*x2 + 2/3*1e-6*x2^3",
        inequalities=(f"x4 - x3 + {a} >= 0", f"x3 - x4 + {a} >= 0"),
        equalities=(
            "1000*sin(-x3 - 0.25) + 1000*sin(-x4 - 0.25) + 894.8 - x1 == 0",
            "1000*sin(x3 - 0.25) + 1000*sin(x3 - x4 - 0.25) + 894.8 - x2 == 0",
            "1000*sin(x4 - 0.25) + 1000*sin(x4 - x3 - 0.25) + 1294.8 == 0",
        ),
        lower=(0, 0, -a, -a),
        upper=(1200, 1200, a, a),
        start=(0, 0, 0, 0),
        best=best,
    )


SMALL = [
    Problem(
        name="HS6",
        objective="(1 - x1)^2",
        equalities=("10*(x2 - x1^2) == 0",),
        start=(-1.2, 1),
        best=0.0,
    ),
    Problem(
        name="HS7",
        objective="log(1 + x1^2) - x2",
        equalities=("(1 + x1^2)^2 + x2^2 - 4 == 0",),
        start=(2, 2),
        best=-sqrt(3.0),
    ),
    Problem(
        name="HS8",
        objective="-1",
        equalities=("x1^2 + x2^2 - 25 == 0", "x1*x2 - 9 == 0"),
        start=(2, 1),
        best=-1.0,
    ),
    Problem(
        name="HS9",
        objective="sin(pi*x1/12)*cos(pi*x2/16)",
        equalities=("4*x1 - 3*x2 == 0",),
        start=(0, 0),
        best=-0.5,
    ),
    Problem(
        name="HS14",
        objective="(x1 - 2)^2 + (x2 - 1)^2",
        inequalities=("-0.25*x1^2 - x2^2 + 1 >= 0",),
        equalities=("x1 - 2*x2 + 1 == 0",),
        start=(2, 2),
        best=9.0 - 23.0 * sqrt(7.0) / 8.0,
    ),
    Problem(
        name="HS26",
        objective="(x1 - x2)^2 + (x2 - x3)^4",
        equalities=("(1 + x2^2)*x1 + x3^4 - 3 == 0",),
        start=(-2.6, 2, 2),
        best=0.0,
    ),
    Problem(
        name="HS27",
        objective="0.01*(x1 - 1)^2 + (x2 - x1^2)^2",
        equalities=("x1 + x3^2 + 1 == 0",),
        start=(2, 2, 2),
        best=0.04,
    ),
    Problem(
        name="HS28",
        objective="(x1 + x2)^2 + (x2 + x3)^2",
        equalities=("x1 + 2*x2 + 3*x3 - 1 == 0",),
        start=(-4, 1, 1),
        best=0.0,
    ),
    Problem(
        name="HS32",
        objective="(x1 + 3*x2 + x3)^2 + 4*(x1 - x2)^2",
        inequalities=("6*x2 + 4*x3 - x1^3 - 3 >= 0",),
        equalities=("1 - x1 - x2 - x3 == 0",),
        lower=(0, 0, 0),
        start=(0.1, 0.7, 0.2),
        best=1.0,
    ),
    Problem(
        name="HS39",
        objective="-x1",
        equalities=("x2 - x1^3 - x3^2 == 0", "x1^2 - x2 - x4^2 == 0"),
        start=(2, 2, 2, 2),
        best=-1.0,
    ),
    Problem(
        name="HS40",
        objective="-x1*x2*x3*x4",
        equalities=("x1^3 + x2^2 - 1 == 0", "x1^2*x4 - x3 == 0", "x4^2 - x2 == 0"),
        start=(0.8, 0.8, 0.8, 0.8),
        best=-0.25,
    ),
    Problem(
        name="HS41",
        objective="2 - x1*x2*x3",
        equalities=("x1 + 2*x2 + 2*x3 - x4 == 0",),
        lower=(0, 0, 0, 0),
        upper=(1, 1, 1, 2),
        start=(2, 2, 2, 2),
        best=52.0 / 27.0,
    ),
    Problem(
        name="HS42",
        objective="(x1 - 1)^2 + (x2 - 2)^2 + (x3 - 3)^2 + (x4 - 4)^2",
        equalities=("x1 - 2 == 0", "x3^2 + x4^2 - 2 == 0"),
        start=(1, 1, 1, 1),
        best=28.0 - 10.0 * sqrt(2.0),
    ),
    Problem(
        name="HS46",
        objective="(x1 - x2)^2 + (x3 - 1)^2 + (x4 - 1)^4 + (x5 - 1)^6",
        equalities=("x1^2*x4 + sin(x4 - x5) - 1 == 0", "x2 + x3^4*x4^2 - 2 == 0"),
        start=(sqrt(2.0) / 2.0, 1.75, 0.5, 2, 2),
        best=0.0,
    ),
    Problem(
        name="HS47",
        objective="(x1 - x2)^2 + (x2 - x3)^3 + (x3 - x4)^4 + (x4 - x5)^4",
        equalities=("x1 + x2^2 + x3^3 - 3 == 0", "x2 - x3^2 + x4 - 1 == 0", "x1*x5 - 1 == 0"),
        start=(2, sqrt(2.0), -1, 2 - sqrt(2.0), 0.5),
        best=0.0,
    ),
    Problem(
        name="HS48",
        objective="(x1 - 1)^2 + (x2 - x3)^2 + (x4 - x5)^2",
        equalities=("x1 + x2 + x3 + x4 + x5 - 5 == 0", "x3 - 2*(x4 + x5) + 3 == 0"),
        start=(3, 5, -3, 2, -2),
        best=0.0,
    ),
    Problem(
        name="HS49",
        objective="(x1 - x2)^2 + (x3 - 1)^2 + (x4 - 1)^4 + (x5 - 1)^6",
        equalities=("x1 + x2 + x3 + 4*x4 - 7 == 0", "x3 + 5*x5 - 6 == 0"),
        start=(10, 7, 2, -3, 0.8),
        best=0.0,
    ),
    Problem(
        name="HS50",
        objective="(x1 - x2)^2 + (x2 - x3)^2 + (x3 - x4)^4 + (x4 - x5)^2",
        equalities=(
            "x1 + 2*x2 + 3*x3 - 6 == 0",
            "x2 + 2*x3 + 3*x4 - 6 == 0",
            "x3 + 2*x4 + 3*x5 - 6 == 0",
        ),
        start=(35, -31, 11, 5, -5),
        best=0.0,
    ),
    Problem(
        name="HS51",
        objective="(x1 - x2)^2 + (x2 + x3 - 2)^2 + (x4 - 1)^2 + (x5 - 1)^2",
        equalities=("x1 + 3*x2 - 4 == 0", "x3 + x4 - 2*x5 == 0", "x2 - x5 == 0"),
        start=(2.5, 0.5, 2, -1, 0.5),
        best=0.0,
    ),
    Problem(
        name="HS52",
        objective="(4*x1 - x2)^2 + (x2 + x3 - 2)^2 + (x4 - 1)^2 + (x5 - 1)^2",
        equalities=("x1 + 3*x2 == 0", "x3 + x4 - 2*x5 == 0", "x2 - x5 == 0"),
        start=(2, 2, 2, 2, 2),
        best=1859.0 / 349.0,
    ),
    Problem(
        name="HS53",
        objective="(x1 - x2)^2 + (x2 + x3 - 2)^2 + (x4 - 1)^2 + (x5 - 1)^2",
        equalities=("x1 + 3*x2 == 0", "x3 + x4 - 2*x5 == 0", "x2 - x5 == 0"),
        lower=(-10,) * 5,
        upper=(10,) * 5,
        start=(2, 2, 2, 2, 2),
        best=176.0 / 43.0,
    ),
    Problem(
        name="HS54",
        objective=f"-exp(-({_H54})/2)",
        equalities=("x1 + 4e3*x2 - 1.76e4 == 0",),
        lower=(0, -10, 0, 0, -1, 0),
        upper=(2e4, 10, 1e7, 20, 1, 2e8),
        start=(6e3, 1.5, 4e6, 2, 3e-3, 5e7),
        best=-exp(-27.0 / 280.0),
    ),
    Problem(
        name="HS55",
        objective="x1 + 2*x2 + 4*x5 + exp(x1*x4)",
        equalities=(
            "x1 + 2*x2 + 5*x5 - 6 == 0",
            "x1 + x2 + x3 - 3 == 0",
            "x4 + x5 + x6 - 2 == 0",
            "x1 + x4 - 1 == 0",
            "x2 + x5 - 2 == 0",
            "x3 + x6 - 2 == 0",
        ),
        lower=(0,) * 6,
        upper=(1, INF, INF, 1, INF, INF),
        start=(1, 2, 0, 0, 0, 2),
        best=19.0 / 3.0,
    ),
    Problem(
        name="HS56",
        objective="-x1*x2*x3",
        equalities=(
            "x1 - 4.2*sin(x4)^2 == 0",
            "x2 - 4.2*sin(x5)^2 == 0",
            "x3 - 4.2*sin(x6)^2 == 0",
            "x1 + 2*x2 + 2*x3 - 7.2*sin(x7)^2 == 0",
        ),
        start=(1, 1, 1, _A56, _A56, _A56, _B56),
        best=-3.456,
    ),
    Problem(
        name="HS60",
        objective="(x1 - 1)^2 + (x1 - x2)^2 + (x2 - x3)^4",
        equalities=("x1*(1 + x2^2) + x3^4 - 4 - 3*sqrt(2) == 0",),
        lower=(-10,) * 3,
        upper=(10,) * 3,
        start=(2, 2, 2),
        best=0.03256820025,
    ),
    Problem(
        name="HS61",
        objective="4*x1^2 + 2*x2^2 + 2*x3^2 - 33*x1 + 16*x2 - 24*x3",
        equalities=("3*x1 - 2*x2^2 - 7 == 0", "4*x1 - x3^2 - 11 == 0"),
        start=(0, 0, 0),
        best=-143.6461422,
    ),
    Problem(
        name="HS62",
        objective=(
            "-32.174*(255*log((x1 + x2 + x3 + 0.03)/(0.09*x1 + x2 + x3 + 0.03))"
            " + 280*log((x2 + x3 + 0.03)/(0.07*x2 + x3 + 0.03))"
            " + 290*log((x3 + 0.03)/(0.13*x3 + 0.03)))"
        ),
        equalities=("x1 + x2 + x3 - 1 == 0",),
        lower=(0,) * 3,
        upper=(1,) * 3,
        start=(0.7, 0.2, 0.1),
        best=-26272.51448,
    ),
    Problem(
        name="HS63",
        objective="1000 - x1^2 - 2*x2^2 - x3^2 - x1*x2 - x1*x3",
        equalities=("8*x1 + 14*x2 + 7*x3 - 56 == 0", "x1^2 + x2^2 + x3^2 - 25 == 0"),
        lower=(0,) * 3,
        start=(2, 2, 2),
        best=961.7151721,
    ),
    _inspection("HS68", 0.0001, 1, 24, -0.920425026),
    _inspection("HS69", 0.1, 1000, 4, -956.71288),
    Problem(
        name="HS71",
        objective="x1*x4*(x1 + x2 + x3) + x3",
        inequalities=("x1*x2*x3*x4 - 25 >= 0",),
        equalities=("x1^2 + x2^2 + x3^2 + x4^2 - 40 == 0",),
        lower=(1,) * 4,
        upper=(5,) * 4,
        start=(1, 5, 5, 1),
        best=17.0140173,
    ),
    Problem(
        name="HS73",
        objective="24.55*x1 + 26.75*x2 + 39*x3 + 40.50*x4",
        inequalities=(
            "2.3*x1 + 5.6*x2 + 11.1*x3 + 1.3*x4 - 5 >= 0",
            "12*x1 + 11.9*x2 + 41.8*x3 + 52.1*x4 - 21"
            " - 1.645*sqrt(0.28*x1^2 + 0.19*x2^2 + 20.5*x3^2 + 0.62*x4^2) >= 0",
        ),
        equalities=("x1 + x2 + x3 + x4 - 1 == 0",),
        lower=(0,) * 4,
        start=(1, 1, 1, 1),
        best=29.89437816,
    ),
    _network("HS74", 0.55, 5126.4981),
    _network("HS75", 0.48, 5174.4129),
    Problem(
        name="HS77",
        objective="(x1 - 1)^2 + (x1 - x2)^2 + (x3 - 1)^2 + (x4 - 1)^4 + (x5 - 1)^6",
        equalities=(
            "x1^2*x4 + sin(x4 - x5) - 2*sqrt(2) == 0",
            "x2 + x3^4*x4^2 - 8 - sqrt(2) == 0",
        ),
        start=(2,) * 5,
        best=0.24150513,
    ),
    Problem(
        name="HS78",
        objective="x1*x2*x3*x4*x5",
        equalities=_ROW80,
        start=(-2, 1.5, 2, -1, -1),
        best=-2.91970041,
    ),
    Problem(
        name="HS79",
        objective="(x1 - 1)^2 + (x1 - x2)^2 + (x2 - x3)^2 + (x3 - x4)^4 + (x4 - x5)^4",
        equalities=(
            "x1 + x2^2 + x3^3 - 2 - 3*sqrt(2) == 0",
            "x2 - x3^2 + x4 + 2 - 2*sqrt(2) == 0",
            "x1*x5 - 2 == 0",
        ),
        start=(2,) * 5,
        best=0.0787768209,
    ),
    Problem(
        name="HS80",
        objective="exp(x1*x2*x3*x4*x5)",
        equalities=_ROW80,
        lower=(-2.3, -2.3, -3.2, -3.2, -3.2),
        upper=(2.3, 2.3, 3.2, 3.2, 3.2),
        start=(-2, 2, 2, -1, -1),
        best=0.0539498478,
    ),
    Problem(
        name="HS81",
        objective="exp(x1*x2*x3*x4*x5) - 0.5*(x1^3 + x2^3 + 1)^2",
        equalities=_ROW80,
        lower=(-2.3, -2.3, -3.2, -3.2, -3.2),
        upper=(2.3, 2.3, 3.2, 3.2, 3.2),
        start=(-2, 2, 2, -1, -1),
        best=0.0539498478,
    ),
]

PROBLEMS = SMALL
