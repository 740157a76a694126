"""An augmented Lagrangian on the machinery of L-BFGS-B, to show what `optdriver.SQP` gains over it.

The method is that of Birgin and Martinez (Practical Augmented Lagrangian Methods, SIAM 2014,
algorithm 4.1): after Powell, Hestenes and Rockafellar, with `optdriver.LBFGSB` for the subproblems,
each begun where the last one ended and solved more exactly than it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.constrained_peers import Case, Recorder, Trace
from benchmarks.hs.problem import Vector
from optdriver import LBFGSB

NAME = "augmented Lagrangian"
OUTER = 50
FALL = 0.5
"""What a violation must fall to, as a part of itself, for the penalty to stay."""
GROWTH = 10.0
LARGEST = 1e12
FIRST, LAST = 1e-2, 1e-8
"""The tolerance of the first subproblem, and of the last ones, in the unit of f's gradient."""


class Lagrangian:
    """f + rho/2 |max(0, c + lambda/rho)|^2 + rho/2 |e + nu/rho|^2, rows in units of a gradient."""

    def __init__(self, case: Case, recorder: Recorder) -> None:
        rows = case.constraints
        self.rows, self.recorder = rows, recorder
        slopes = np.asarray(rows.jacobian(case.start)).reshape(-1, case.start.size)
        lengths = np.linalg.norm(np.where(np.isfinite(slopes), slopes, 1.0), axis=1)
        self.scale = 1.0 / np.maximum(lengths, 1e-2)
        self.above = np.arange(len(lengths)) < rows.n_inequalities
        f, g = recorder(case.start)
        self.unit = 1.0 / max(float(np.linalg.norm(g)), 1e-2)
        self.multipliers = np.zeros(len(lengths))
        c = self.violated(case.start, 0.0)
        square = max(float(c @ c), 1e-12)
        self.penalty = min(max(1e-3, 2.0 * abs(f) * self.unit / square), 10.0)

    def violated(self, x: Vector, slack: Any) -> Vector:
        """Return the rows, an inequality's no less than minus `slack`."""
        values = np.asarray(self.rows.values(x)) * self.scale
        return np.where(self.above, np.maximum(values, -slack), values)

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient."""
        f, g = self.recorder(x)
        values = np.asarray(self.rows.values(x)) * self.scale
        slopes = np.asarray(self.rows.jacobian(x)).reshape(-1, x.size) * self.scale[:, None]
        force = self.multipliers + self.penalty * values
        force = np.where(self.above, np.maximum(force, 0.0), force)
        return f * self.unit + 0.5 * float(force @ force) / self.penalty, (
            g * self.unit + slopes.T @ force
        )

    def update(self, x: Vector, before: float) -> float:
        """Take new multipliers, and a larger penalty where violations stay; return these."""
        slack = self.multipliers / self.penalty
        worst = float(np.max(np.abs(self.violated(x, slack)), initial=0.0))
        force = self.multipliers + self.penalty * np.asarray(self.rows.values(x)) * self.scale
        self.multipliers = np.where(self.above, np.maximum(force, 0.0), force)
        if worst > FALL * before:
            self.penalty = min(GROWTH * self.penalty, LARGEST)
        return worst


def augmented(case: Case) -> Trace:
    """Run the method on a problem."""
    recorder = Recorder(case, NAME)
    box = np.column_stack([case.region.lower, case.region.upper])

    def run() -> bool:
        lagrangian, x, worst, tolerance = Lagrangian(case, recorder), case.start, np.inf, FIRST
        for _ in range(OUTER):
            opt = LBFGSB(x, box, gtol=tolerance, ftol=0.0, maxcor=20)
            while not opt.done:
                opt.tell(*lagrangian(opt.ask()))
            x = opt.result.x
            worst = lagrangian.update(x, worst)
            if worst <= LAST and tolerance <= LAST:
                return True
            tolerance = max(LAST, 0.1 * tolerance)
        return False

    return recorder.run(run)
