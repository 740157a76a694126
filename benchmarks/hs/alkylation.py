"""Problem 67: an alkylation process (Colville's eighth problem).

The book states two loops that end when successive values differ by less than 1e-3, so that its
functions jump where the number of rounds changes. Here are what the loops converge to: the yield y2
goes with a ratio y6 that solves a quadratic equation, and so does the acid strength y4.
"""

from __future__ import annotations

from benchmarks.hs.problem import Problem

_RANGES = (
    ("y2", 0, 5000),
    ("y3", 0, 2000),
    ("y4", 85, 93),
    ("y5", 90, 95),
    ("y6", 3, 12),
    ("y7", 0.01, 4),
    ("y8", 145, 162),
)

HS67 = Problem(
    name="HS67",
    objective="-(0.063*y2*y5 - 5.04*x1 - 3.36*y3 - 0.035*x2 - 10*x3)",
    definitions={
        # y2 = 0.01 x1 (112 + 13.167 y6 - 0.6667 y6^2) and y6 = (x2 + 1.22 y2 - x1)/x1
        "slope": "1 - 0.0122*13.167",
        "rest": "0.0122*112 - 1 + x2/x1",
        "y6": "(sqrt(slope^2 + 4*0.0122*0.6667*rest) - slope)/(2*0.0122*0.6667)",
        "y2": "0.01*x1*(112 + 13.167*y6 - 0.6667*y6^2)",
        "y3": "1.22*y2 - x1",
        # y5 = octane + 0.325 y4, y7 = 65.346 - 0.666 y5, y4 = 98000 x3/(y2 y7 + 1000 x3)
        "octane": "86.35 + 1.098*y6 - 0.038*y6^2 - 0.325*89",
        "weight": "y2*(65.346 - 0.666*octane) + 1000*x3",
        "y4": "2*98000*x3/(weight + sqrt(weight^2 - 4*0.666*0.325*98000*x3*y2))",
        "y5": "octane + 0.325*y4",
        "y8": "3*y5 - 133",
        "y7": "35.82 - 0.222*y8",
    },
    inequalities=tuple(
        row for y, low, high in _RANGES for row in (f"{y} >= {low}", f"{y} <= {high}")
    ),
    lower=(1e-5,) * 3,
    upper=(2000, 16000, 120),
    start=(1745, 12000, 110),
    best=-1162.02698006,
    note="the book prints -1162.036507, from loops that stop early",
)
