"""Problems 87 to 119 of the collection that have equalities."""

from __future__ import annotations

from math import cos, sin

from benchmarks.hs.problem import INF, Problem, total

# Problem 87: a small electrical network, cost piecewise linear in x1 and x2.
_COS87, _SIN87 = cos(1.47588), sin(1.47588)

# Problem 99: thrust angles of a rocket over seven intervals.
_THRUST = [0, 50, 50, 75, 75, 75, 100, 100]
_TIME = [0, 25, 50, 100, 150, 200, 290, 380]
_GRAVITY = 32
_SPAN = [0] + [_TIME[i] - _TIME[i - 1] for i in range(1, 8)]


def _push(i: int) -> str:
    return f"({_THRUST[i]}*sin(x{i}) - {_GRAVITY})"


def _speed(upto: int) -> str:
    return total([f"{_SPAN[j]}*{_push(j)}" for j in range(1, upto + 1)])


def _height() -> str:
    terms = [f"0.5*{_SPAN[i] ** 2}*{_push(i)}" for i in range(1, 8)]
    terms += [f"{_SPAN[i]}*({_speed(i - 1)})" for i in range(2, 8)]
    return total(terms)


# Problem 107: static power scheduling; 109: electrical power flow.
_C107, _D107 = 48.4 / 50.176 * sin(0.25), 48.4 / 50.176 * cos(0.25)
_A109, _B109, _C109 = 50.176, sin(0.25), cos(0.25)

# Problems 111 and 112: chemical equilibrium of ten compounds.
_ENERGY = [-6.089, -17.164, -34.054, -5.914, -24.721, -14.986, -24.100, -10.708, -26.662, -22.179]
_TEN = range(1, 11)
_ATOMS = (
    {1: 1, 2: 2, 3: 2, 6: 1, 10: 1},
    {4: 1, 5: 2, 6: 1, 7: 1},
    {3: 1, 7: 1, 8: 1, 9: 2, 10: 1},
)
_AMOUNTS = (2, 1, 1)


def _atoms(amount: str) -> tuple[str, ...]:
    """Return the balances; `amount` has a place for the number of the compound."""
    return tuple(
        total([f"{share}*{amount.format(j)}" for j, share in atoms.items()]) + f" - {level} == 0"
        for atoms, level in zip(_ATOMS, _AMOUNTS, strict=True)
    )


_SUM111 = total([f"exp(x{j})" for j in _TEN])
_SUM112 = total([f"x{j}" for j in _TEN])

# Problem 119: sixteen variables, eight linear equalities.
_LINKS = {
    1: (1, 4, 7, 8, 16), 2: (2, 3, 7, 10), 3: (3, 7, 9, 10, 14), 4: (4, 7, 11, 15),
    5: (5, 6, 10, 12, 16), 6: (6, 8, 15), 7: (7, 11, 13), 8: (8, 10, 15), 9: (9, 12, 16),
    10: (10, 14), 11: (11, 13), 12: (12, 14), 13: (13, 14), 14: (14,), 15: (15,), 16: (16,),
}  # fmt: skip
_ROWS119 = [
    [0.22, 0.20, 0.19, 0.25, 0.15, 0.11, 0.12, 0.13, 1, 0, 0, 0, 0, 0, 0, 0],
    [-1.46, 0, -1.30, 1.82, -1.15, 0, 0.80, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    [1.29, -0.89, 0, 0, -1.16, -0.96, 0, -0.49, 0, 0, 1, 0, 0, 0, 0, 0],
    [-1.10, -1.06, 0.95, -0.54, 0, -1.78, -0.41, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    [0, 0, 0, -1.43, 1.51, 0.59, -0.33, -0.43, 0, 0, 0, 0, 1, 0, 0, 0],
    [0, -1.72, -0.33, 0, 1.62, 1.24, 0.21, -0.26, 0, 0, 0, 0, 0, 1, 0, 0],
    [1.12, 0, 0, 0.31, 0, 0, 1.12, 0, -0.36, 0, 0, 0, 0, 0, 1, 0],
    [0, 0.45, 0.26, -1.10, 0.58, 0, -1.03, 0.10, 0, 0, 0, 0, 0, 0, 0, 1],
]
_LEVELS119 = [2.5, 1.1, -3.1, -3.5, 1.3, 2.1, 2.3, -1.5]


def _both(row: str, width: str) -> tuple[str, str]:
    """Return the pair of problem 114: `row` between 0 and `width`."""
    return f"{row} >= 0", f"{width} - ({row}) >= 0"


_G114 = (
    _both("35.82 - 0.222*x10 - 0.9*x9", "x9*(1/0.9 - 0.9)"),
    _both("-133 + 3*x7 - 0.99*x10", "(1/0.99 - 0.99)*x10"),
    _both("1.12*x1 + 0.13167*x1*x8 - 0.00667*x1*x8^2 - 0.99*x4", "(1/0.99 - 0.99)*x4"),
    _both("57.425 + 1.098*x8 - 0.038*x8^2 + 0.325*x6 - 0.99*x7", "(1/0.99 - 0.99)*x7"),
)

PROBLEMS = [
    Problem(
        name="HS87",
        objective=(
            "Piecewise((30*x1, x1 < 300), (31*x1, True))"
            " + Piecewise((28*x2, x2 < 100), (29*x2, x2 < 200), (30*x2, True))"
        ),
        equalities=(
            f"300 - x1 - x3*x4/131.078*cos(1.48477 - x6) + 0.90798/131.078*{_COS87}*x3^2 == 0",
            f"-x2 - x3*x4/131.078*cos(1.48477 + x6) + 0.90798/131.078*{_COS87}*x4^2 == 0",
            f"-x5 - x3*x4/131.078*sin(1.48477 + x6) + 0.90798/131.078*{_SIN87}*x4^2 == 0",
            f"200 - x3*x4/131.078*sin(1.48477 - x6) + 0.90798/131.078*{_SIN87}*x3^2 == 0",
        ),
        lower=(0, 0, 340, 340, -1000, 0),
        upper=(400, 1000, 420, 420, 1000, 0.5236),
        start=(390, 1000, 419.5, 340.5, 198.175, 0.5),
        best=8927.5977356,
        note="the objective jumps where the price changes",
    ),
    Problem(
        name="HS99",
        objective="-(" + total([f"{_THRUST[i] * _SPAN[i]}*cos(x{i})" for i in range(1, 8)]) + ")^2",
        equalities=(f"{_height()} - 1e5 == 0", f"{_speed(7)} - 1e3 == 0"),
        lower=(0,) * 7,
        upper=(1.58,) * 7,
        start=(0.5,) * 7,
        best=-831079891.5,
    ),
    Problem(
        name="HS107",
        objective="3000*x1 + 1000*x1^3 + 2000*x2 + 666.667*x2^3",
        equalities=tuple(
            row.format(c=_C107, d=_D107)
            for row in (
                "0.4 - x1 + 2*{c}*x5^2 - x5*x6*({d}*sin(x8) + {c}*cos(x8))"
                " - x5*x7*({d}*sin(x9) + {c}*cos(x9)) == 0",
                "0.4 - x2 + 2*{c}*x6^2 + x5*x6*({d}*sin(x8) - {c}*cos(x8))"
                " + x6*x7*({d}*sin(x8 - x9) - {c}*cos(x8 - x9)) == 0",
                "0.8 + 2*{c}*x7^2 + x5*x7*({d}*sin(x9) - {c}*cos(x9))"
                " - x6*x7*({d}*sin(x8 - x9) + {c}*cos(x8 - x9)) == 0",
                "0.2 - x3 + 2*{d}*x5^2 + x5*x6*({c}*sin(x8) - {d}*cos(x8))"
                " + x5*x7*({c}*sin(x9) - {d}*cos(x9)) == 0",
                "0.2 - x4 + 2*{d}*x6^2 - x5*x6*({c}*sin(x8) + {d}*cos(x8))"
                " - x6*x7*({c}*sin(x8 - x9) + {d}*cos(x8 - x9)) == 0",
                "-0.337 + 2*{d}*x7^2 - x5*x7*({c}*sin(x9) + {d}*cos(x9))"
                " + x6*x7*({c}*sin(x8 - x9) - {d}*cos(x8 - x9)) == 0",
            )
        ),
        lower=(0, 0, -INF, -INF, 0.90909, 0.90909, 0.90909, -INF, -INF),
        upper=(INF, INF, INF, INF, 1.0909, 1.0909, 1.0909, INF, INF),
        start=(0.8, 0.8, 0.2, 0.2, 1.0454, 1.0454, 1.0454, 0, 0),
        best=5055.011803,
    ),
    Problem(
        name="HS109",
        objective="3*x1 + 1e-6*x1^3 + 2*x2 + 0.522074e-6*x2^3",
        inequalities=(
            "x4 - x3 + 0.55 >= 0",
            "x3 - x4 + 0.55 >= 0",
            "2250000 - x1^2 - x8^2 >= 0",
            "2250000 - x2^2 - x9^2 >= 0",
        ),
        equalities=tuple(
            row.format(a=_A109, b=_B109, c=_C109)
            for row in (
                "x5*x6*sin(-x3 - 0.25) + x5*x7*sin(-x4 - 0.25) + 2*{b}*x5^2 - {a}*x1"
                " + 400*{a} == 0",
                "x5*x6*sin(x3 - 0.25) + x6*x7*sin(x3 - x4 - 0.25) + 2*{b}*x6^2 - {a}*x2"
                " + 400*{a} == 0",
                "x5*x7*sin(x4 - 0.25) + x6*x7*sin(x4 - x3 - 0.25) + 2*{b}*x7^2 + 881.779*{a} == 0",
                "{a}*x8 + x5*x6*cos(-x3 - 0.25) + x5*x7*cos(-x4 - 0.25) - 200*{a} - 2*{c}*x5^2"
                " + 0.7533e-3*{a}*x5^2 == 0",
                "{a}*x9 + x5*x6*cos(x3 - 0.25) + x6*x7*cos(x3 - x4 - 0.25) - 2*{c}*x6^2"
                " + 0.7533e-3*{a}*x6^2 - 200*{a} == 0",
                "x5*x7*cos(x4 - 0.25) + x6*x7*cos(x4 - x3 - 0.25) - 2*{c}*x7^2 + 22.938*{a}"
                " + 0.7533e-3*{a}*x7^2 == 0",
            )
        ),
        lower=(0, 0, -0.55, -0.55, 196, 196, 196, -400, -400),
        upper=(INF, INF, 0.55, 0.55, 252, 252, 252, 800, 800),
        start=(0,) * 9,
        best=5326.851330,
        note="the book prints 5362.06928",
    ),
    Problem(
        name="HS111",
        objective=total([f"exp(x{j})*({_ENERGY[j - 1]} + x{j} - log({_SUM111}))" for j in _TEN]),
        equalities=_atoms("exp(x{})"),
        lower=(-100,) * 10,
        upper=(100,) * 10,
        start=(-2.3,) * 10,
        best=-47.76109026,
    ),
    Problem(
        name="HS112",
        objective=total([f"x{j}*({_ENERGY[j - 1]} + log(x{j}/({_SUM112})))" for j in _TEN]),
        equalities=_atoms("x{}"),
        lower=(1e-6,) * 10,
        start=(0.1,) * 10,
        best=-47.76109026,
    ),
    Problem(
        name="HS114",
        objective="5.04*x1 + 0.035*x2 + 10*x3 + 3.36*x5 - 0.063*x4*x7",
        inequalities=tuple(row for pair in _G114 for row in pair),
        equalities=(
            "1.22*x4 - x1 - x5 == 0",
            "98000*x3/(x4*x9 + 1000*x3) - x6 == 0",
            "(x2 + x5)/x1 - x8 == 0",
        ),
        lower=(1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 85, 90, 3, 1.2, 145),
        upper=(2000, 16000, 120, 5000, 2000, 93, 95, 12, 4, 162),
        start=(1745, 12000, 110, 3048, 1974, 89.2, 92.8, 8, 3.6, 145),
        best=-1768.80696,
    ),
    Problem(
        name="HS119",
        objective=total(
            [
                f"(x{i}^2 + x{i} + 1)*(x{j}^2 + x{j} + 1)"
                for i, linked in _LINKS.items()
                for j in linked
            ]
        ),
        equalities=tuple(
            total([f"{b}*x{j + 1}" for j, b in enumerate(row) if b]) + f" - ({level}) == 0"
            for row, level in zip(_ROWS119, _LEVELS119, strict=True)
        ),
        lower=(0,) * 16,
        upper=(5,) * 16,
        start=(10,) * 16,
        best=244.899698,
    ),
]
