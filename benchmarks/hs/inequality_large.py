"""Problems 83 to 118 of the collection whose nonlinear rows are all inequalities."""

from __future__ import annotations

from math import sqrt

from benchmarks.hs.heat import heat_constraint
from benchmarks.hs.problem import INF, Problem, total
from benchmarks.hs.pulp import HS85

_A84 = [-24345, -8720288.849, 150512.5253, -156.6950325, 476470.3222, 729482.8271]
_ROWS84 = [
    [-145421.402, 2931.1506, -40.427932, 5106.192, 15711.36],
    [-155011.1084, 4360.53352, 12.9492344, 10236.884, 13176.786],
    [-326669.5104, 7390.68412, -27.8986976, 16643.076, 30988.146],
]


def _row84(a: list[float]) -> str:
    return f"{a[0]}*x1 + {a[1]}*x1*x2 + {a[2]}*x1*x3 + {a[3]}*x1*x4 + {a[4]}*x1*x5"


# Colville's first problem (86) and its dual (117).
COLVILLE_A = [
    [-16, 2, 0, 1, 0],
    [0, -2, 0, 4, 2],
    [-3.5, 0, 2, 0, 0],
    [0, -2, 0, -4, -1],
    [0, -9, -2, 1, -2.8],
    [2, 0, -4, 0, 0],
    [-1, -1, -1, -1, -1],
    [-1, -2, -3, -2, -1],
    [1, 2, 3, 4, 5],
    [1, 1, 1, 1, 1],
]
COLVILLE_B = [-40, -2, -0.25, -4, -4, -1, -40, -60, 5, 1]
COLVILLE_C = [
    [30, -20, -10, 32, -10],
    [-20, 39, -6, -31, 32],
    [-10, -6, 10, -6, -10],
    [32, -31, -6, 39, -20],
    [-10, 32, -10, -20, 30],
]
COLVILLE_D = [4, 8, 10, 6, 2]
COLVILLE_E = [-15, -27, -36, -18, -12]
FIVE = range(5)


def _quadratic(first: int) -> str:
    return total([f"{COLVILLE_C[i][j]}*x{first + i}*x{first + j}" for i in FIVE for j in FIVE])


def _dual_row(j: int) -> str:
    terms = [f"2*{COLVILLE_C[k][j]}*x{11 + k}" for k in FIVE]
    terms += [f"3*{COLVILLE_D[j]}*x{11 + j}^2", f"{COLVILLE_E[j]}"]
    terms += [f"-({COLVILLE_A[k][j]})*x{1 + k}" for k in range(10) if COLVILLE_A[k][j]]
    return total(terms) + " >= 0"


_SUM93 = "x1*x4*(x1 + x2 + x3)"
_SUM93B = "x2*x3*(x1 + 1.57*x2 + x4)"


def _blend(name: str, b: tuple[float, float, float, float], best: float) -> Problem:
    rows = (
        "17.1*x1 + 38.2*x2 + 204.2*x3 + 212.3*x4 + 623.4*x5 + 1495.5*x6 - 169*x1*x3"
        " - 3580*x3*x5 - 3810*x4*x5 - 18500*x4*x6 - 24300*x5*x6",
        "17.9*x1 + 36.8*x2 + 113.9*x3 + 169.7*x4 + 337.8*x5 + 1385.2*x6 - 139*x1*x3"
        " - 2450*x4*x5 - 16600*x4*x6 - 17200*x5*x6",
        "-273*x2 - 70*x4 - 819*x5 + 26000*x4*x5",
        "159.9*x1 - 311*x2 + 587*x4 + 391*x5 + 2198*x6 - 14000*x1*x6",
    )
    return Problem(
        name=name,
        objective="4.3*x1 + 31.8*x2 + 63.3*x3 + 15.8*x4 + 68.5*x5 + 4.7*x6",
        inequalities=tuple(f"{row} >= {level}" for row, level in zip(rows, b, strict=True)),
        lower=(0,) * 6,
        upper=(0.31, 0.046, 0.068, 0.042, 0.028, 0.0134),
        start=(0,) * 6,
        best=best,
    )


def _geometric(name: str, a: float, best: float) -> Problem:
    objective = (
        f"10*x1*x4^2*x7^({a})/(x2*x6^3) + 15*x3*x4/(x1*x2^2*x5*x7^0.5)"
        " + 20*x2*x6/(x1^2*x4*x5^2) + 25*x1^2*x2^2*x5^0.5*x7/(x3*x6^2)"
    )
    return Problem(
        name=name,
        objective=objective,
        inequalities=(
            "1 - 0.5*x1^0.5*x7/(x3*x6^2) - 0.7*x1^3*x2*x6*x7^0.5/x3^2"
            " - 0.2*x3*x6^(2/3)*x7^0.25/(x2*x4^0.5) >= 0",
            "1 - 1.3*x2*x6/(x1^0.5*x3*x5) - 0.8*x3*x6^2/(x4*x5)"
            " - 3.1*x2^0.5*x6^(1/3)/(x1*x4^2*x5) >= 0",
            "1 - 2*x1*x5*x7^(1/3)/(x3^1.5*x6) - 0.1*x2*x5/(x3^0.5*x6*x7^0.5)"
            " - x2*x3^0.5*x5/x1 - 0.65*x3*x5*x7/(x2^2*x6) >= 0",
            "1 - 0.2*x2*x5^0.5*x7^(1/3)/(x1^2*x4) - 0.3*x1^0.5*x2^2*x3*x4^(1/3)*x7^0.25/x5^(2/3)"
            " - 0.4*x3*x5*x7^0.75/(x1^3*x2^2) - 0.5*x4*x7^0.5/x3^2 >= 0",
            f"{objective} >= 100",
            f"{objective} <= 3000",
        ),
        lower=(0.1,) * 6 + (0.01,),
        upper=(10,) * 7,
        start=(6,) * 7,
        best=best,
    )


_F104 = "0.4*x1^0.67*x7^(-0.67) + 0.4*x2^0.67*x8^(-0.67) + 10 - x1 - x2"

# Problem 105: maximum likelihood of a mixture of three normal densities, 235 observations.
_COUNTS = {95: 1, 105: 1, 110: 4, 115: 4, 120: 15, 125: 15, 130: 15, 135: 13, 140: 21, 145: 12}
_COUNTS |= {150: 17, 155: 4, 160: 20, 165: 8, 170: 17, 175: 8, 180: 6, 185: 6, 190: 7, 195: 4}
_COUNTS |= {200: 3, 205: 3, 210: 8, 215: 1, 220: 6, 230: 5, 235: 1, 240: 7, 245: 1, 250: 2}


def _density(y: int) -> str:
    return (
        f"(x1/x6*exp(-({y} - x3)^2/(2*x6^2)) + x2/x7*exp(-({y} - x4)^2/(2*x7^2))"
        f" + (1 - x2 - x1)/x8*exp(-({y} - x5)^2/(2*x8^2)))/sqrt(2*pi)"
    )


_DAYS = ((2.3, 0.0001), (1.7, 0.0001), (2.2, 0.00015))
_NEEDS = (60, 50, 70, 85, 100)


def _schedule() -> tuple[str, ...]:
    rows: list[str] = []
    for j in range(1, 5):
        for i, top in ((1, 6), (2, 7), (3, 6)):
            change = f"x{3 * j + i} - x{3 * j + i - 3}"
            rows += [f"{change} >= -7", f"{change} <= {top}"]
    for k, need in enumerate(_NEEDS):
        rows.append(f"x{3 * k + 1} + x{3 * k + 2} + x{3 * k + 3} >= {need}")
    return tuple(rows)


PROBLEMS = [
    Problem(
        name="HS83",
        objective="5.3578547*x3^2 + 0.8356891*x1*x5 + 37.293239*x1 - 40792.141",
        inequalities=tuple(
            f"{row} {side}"
            for row, sides in (
                (
                    "85.334407 + 0.0056858*x2*x5 + 0.0006262*x1*x4 - 0.0022053*x3*x5",
                    (">= 0", "<= 92"),
                ),
                (
                    "80.51249 + 0.0071317*x2*x5 + 0.0029955*x1*x2 + 0.0021813*x3^2",
                    (">= 90", "<= 110"),
                ),
                (
                    "9.300961 + 0.0047026*x3*x5 + 0.0012547*x1*x3 + 0.0019085*x3*x4",
                    (">= 20", "<= 25"),
                ),
            )
            for side in sides
        ),
        lower=(78, 33, 27, 27, 27),
        upper=(102, 45, 45, 45, 45),
        start=(78, 33, 27, 27, 27),
        best=-30665.53867,
    ),
    Problem(
        name="HS84",
        objective=(
            f"-({_A84[0]}) - ({_A84[1]})*x1 - {_A84[2]}*x1*x2 - ({_A84[3]})*x1*x3"
            f" - {_A84[4]}*x1*x4 - {_A84[5]}*x1*x5"
        ),
        inequalities=tuple(
            f"{_row84(row)} {side}"
            for row, top in zip(_ROWS84, (294000, 294000, 277200), strict=True)
            for side in (">= 0", f"<= {top}")
        ),
        lower=(0, 1.2, 20, 9, 6.5),
        upper=(1000, 2.4, 60, 9.3, 7),
        start=(2.52, 2, 37.5, 9.25, 6.8),
        best=-5280335.13306,
    ),
    HS85,
    Problem(
        name="HS86",
        objective=total([f"{COLVILLE_E[j]}*x{j + 1} + {COLVILLE_D[j]}*x{j + 1}^3" for j in FIVE])
        + " + "
        + _quadratic(1),
        inequalities=tuple(
            total([f"{a}*x{j + 1}" for j, a in enumerate(row) if a]) + f" >= {b}"
            for row, b in zip(COLVILLE_A, COLVILLE_B, strict=True)
        ),
        lower=(0,) * 5,
        start=(0, 0, 0, 0, 1),
        best=-32.34867897,
    ),
    *(
        Problem(
            name=f"HS{86 + n}",
            objective=total([f"x{i + 1}^2" for i in range(n)]),
            functions=heat_constraint(n),
            start=tuple(0.5 if i % 2 == 0 else -0.5 for i in range(n)),
            best=1.362656816,
        )
        for n in range(2, 7)
    ),
    Problem(
        name="HS93",
        objective=(
            f"0.0204*{_SUM93} + 0.0187*{_SUM93B} + 0.0607*x5^2*{_SUM93} + 0.0437*x6^2*{_SUM93B}"
        ),
        inequalities=(
            "0.001*x1*x2*x3*x4*x5*x6 - 2.07 >= 0",
            f"1 - 0.00062*x5^2*{_SUM93} - 0.00058*x6^2*{_SUM93B} >= 0",
        ),
        lower=(0,) * 6,
        start=(5.54, 4.4, 12.02, 11.82, 0.702, 0.852),
        best=135.075961,
    ),
    _blend("HS95", (4.97, -1.88, -29.08, -78.02), 0.015619525),
    _blend("HS96", (4.97, -1.88, -69.08, -118.02), 0.015619514),
    _blend("HS97", (32.97, 25.12, -29.08, -78.02), 3.1358091),
    _blend("HS98", (32.97, 25.12, -124.08, -173.02), 3.1358091),
    Problem(
        name="HS100",
        objective=(
            "(x1 - 10)^2 + 5*(x2 - 12)^2 + x3^4 + 3*(x4 - 11)^2 + 10*x5^6 + 7*x6^2 + x7^4"
            " - 4*x6*x7 - 10*x6 - 8*x7"
        ),
        inequalities=(
            "127 - 2*x1^2 - 3*x2^4 - x3 - 4*x4^2 - 5*x5 >= 0",
            "282 - 7*x1 - 3*x2 - 10*x3^2 - x4 + x5 >= 0",
            "196 - 23*x1 - x2^2 - 6*x6^2 + 8*x7 >= 0",
            "-4*x1^2 - x2^2 + 3*x1*x2 - 2*x3^2 - 5*x6 + 11*x7 >= 0",
        ),
        start=(1, 2, 0, 4, 0, 1, 1),
        best=680.6300573,
    ),
    _geometric("HS101", -0.25, 1809.76476),
    _geometric("HS102", 0.125, 911.880571),
    _geometric("HS103", 0.5, 543.667958),
    Problem(
        name="HS104",
        objective=_F104,
        inequalities=(
            "1 - 0.0588*x5*x7 - 0.1*x1 >= 0",
            "1 - 0.0588*x6*x8 - 0.1*x1 - 0.1*x2 >= 0",
            "1 - 4*x3/x5 - 2*x3^(-0.71)/x5 - 0.0588*x3^(-1.3)*x7 >= 0",
            "1 - 4*x4/x6 - 2*x4^(-0.71)/x6 - 0.0588*x4^(-1.3)*x8 >= 0",
            f"{_F104} >= 1",
            f"{_F104} <= 4.2",
        ),
        lower=(0.1,) * 8,
        upper=(10,) * 8,
        start=(6, 3, 0.4, 0.2, 6, 6, 1, 0.5),
        best=3.9511634396,
    ),
    Problem(
        name="HS105",
        objective="-("
        + total([f"{count}*log({_density(y)})" for y, count in _COUNTS.items()])
        + ")",
        inequalities=("1 - x1 - x2 >= 0",),
        lower=(0.001, 0.001, 100, 130, 170, 5, 5, 5),
        upper=(0.499, 0.499, 180, 210, 240, 25, 25, 25),
        start=(0.1, 0.2, 100, 125, 175, 11.2, 13.2, 15.8),
        best=1136.30730357,
        note="the book prints 1138.416240; at its own solution the stated f is 1136.67",
    ),
    Problem(
        name="HS106",
        objective="x1 + x2 + x3",
        inequalities=(
            "1 - 0.0025*(x4 + x6) >= 0",
            "1 - 0.0025*(x5 + x7 - x4) >= 0",
            "1 - 0.01*(x8 - x5) >= 0",
            "x1*x6 - 833.33252*x4 - 100*x1 + 83333.333 >= 0",
            "x2*x7 - 1250*x5 - x2*x4 + 1250*x4 >= 0",
            "x3*x8 - 1250000 - x3*x5 + 2500*x5 >= 0",
        ),
        lower=(100, 1000, 1000) + (10,) * 5,
        upper=(10000,) * 3 + (1000,) * 5,
        start=(5000, 5000, 5000, 200, 350, 150, 225, 425),
        best=7049.2480205,
    ),
    Problem(
        name="HS108",
        objective="-0.5*(x1*x4 - x2*x3 + x3*x9 - x5*x9 + x5*x8 - x6*x7)",
        inequalities=(
            "1 - x3^2 - x4^2 >= 0",
            "1 - x9^2 >= 0",
            "1 - x5^2 - x6^2 >= 0",
            "1 - x1^2 - (x2 - x9)^2 >= 0",
            "1 - (x1 - x5)^2 - (x2 - x6)^2 >= 0",
            "1 - (x1 - x7)^2 - (x2 - x8)^2 >= 0",
            "1 - (x3 - x5)^2 - (x4 - x6)^2 >= 0",
            "1 - (x3 - x7)^2 - (x4 - x8)^2 >= 0",
            "1 - x7^2 - (x8 - x9)^2 >= 0",
            "x1*x4 - x2*x3 >= 0",
            "x3*x9 >= 0",
            "-x5*x9 >= 0",
            "x5*x8 - x6*x7 >= 0",
        ),
        lower=(-INF,) * 8 + (0,),
        start=(1,) * 9,
        best=-0.5 * sqrt(3.0),
    ),
    Problem(
        name="HS113",
        objective=(
            "x1^2 + x2^2 + x1*x2 - 14*x1 - 16*x2 + (x3 - 10)^2 + 4*(x4 - 5)^2 + (x5 - 3)^2"
            " + 2*(x6 - 1)^2 + 5*x7^2 + 7*(x8 - 11)^2 + 2*(x9 - 10)^2 + (x10 - 7)^2 + 45"
        ),
        inequalities=(
            "105 - 4*x1 - 5*x2 + 3*x7 - 9*x8 >= 0",
            "-10*x1 + 8*x2 + 17*x7 - 2*x8 >= 0",
            "8*x1 - 2*x2 - 5*x9 + 2*x10 + 12 >= 0",
            "-3*(x1 - 2)^2 - 4*(x2 - 3)^2 - 2*x3^2 + 7*x4 + 120 >= 0",
            "-5*x1^2 - 8*x2 - (x3 - 6)^2 + 2*x4 + 40 >= 0",
            "-0.5*(x1 - 8)^2 - 2*(x2 - 4)^2 - 3*x5^2 + x6 + 30 >= 0",
            "-x1^2 - 2*(x2 - 2)^2 + 2*x1*x2 - 14*x5 + 6*x6 >= 0",
            "3*x1 - 6*x2 - 12*(x9 - 8)^2 + 7*x10 >= 0",
        ),
        start=(2, 3, 5, 5, 1, 2, 7, 3, 6, 10),
        best=24.3062091,
    ),
    Problem(
        name="HS116",
        objective="x11 + x12 + x13",
        inequalities=(
            "x3 - x2 >= 0",
            "x2 - x1 >= 0",
            "1 - 0.002*x7 + 0.002*x8 >= 0",
            "x11 + x12 + x13 >= 50",
            "x11 + x12 + x13 <= 250",
            "x13 - 1.262626*x10 + 1.231059*x3*x10 >= 0",
            "x5 - 0.03475*x2 - 0.975*x2*x5 + 0.00975*x2^2 >= 0",
            "x6 - 0.03475*x3 - 0.975*x3*x6 + 0.00975*x3^2 >= 0",
            "x5*x7 - x1*x8 - x4*x7 + x4*x8 >= 0",
            "1 - 0.002*(x2*x9 + x5*x8 - x1*x8 - x6*x9) - x5 - x6 >= 0",
            "x2*x9 - x3*x10 - x6*x9 - 500*x2 + 500*x6 + x2*x10 >= 0",
            "x2 - 0.9 - 0.002*(x2*x10 - x3*x10) >= 0",
            "x4 - 0.03475*x1 - 0.975*x1*x4 + 0.00975*x1^2 >= 0",
            "x11 - 1.262626*x8 + 1.231059*x1*x8 >= 0",
            "x12 - 1.262626*x9 + 1.231059*x2*x9 >= 0",
        ),
        lower=(0.1, 0.1, 0.1, 1e-4, 0.1, 0.1, 0.1, 0.1, 500, 0.1, 1, 1e-4, 1e-4),
        upper=(1, 1, 1, 0.1, 0.9, 0.9, 1000, 1000, 1000, 500, 150, 150, 150),
        start=(0.5, 0.8, 0.9, 0.1, 0.14, 0.5, 489, 80, 650, 450, 150, 150, 150),
        best=97.58750956,
        note="the book prints 97.588409",
    ),
    Problem(
        name="HS117",
        objective=total([f"-({COLVILLE_B[j]})*x{j + 1}" for j in range(10)])
        + " + "
        + _quadratic(11)
        + " + "
        + total([f"2*{COLVILLE_D[j]}*x{11 + j}^3" for j in FIVE]),
        inequalities=tuple(_dual_row(j) for j in FIVE),
        lower=(0,) * 15,
        start=(0.001,) * 6 + (60,) + (0.001,) * 8,
        best=32.34867897,
    ),
    Problem(
        name="HS118",
        objective=total(
            [
                f"{price}*x{3 * k + i + 1} + {bend}*x{3 * k + i + 1}^2"
                for k in range(5)
                for i, (price, bend) in enumerate(_DAYS)
            ]
        ),
        inequalities=_schedule(),
        lower=(8, 43, 3) + (0,) * 12,
        upper=(21, 57, 16) + (90, 120, 60) * 4,
        start=(20, 55, 15) + (20, 60, 20) * 4,
        best=664.8204500,
    ),
]
