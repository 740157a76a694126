"""Claim: a saddle to which symmetry has led is no success, behind whatever door.

``python -m benchmarks saddles`` draws sums of squares that are symmetric about their starts, and
runs them through the doors, by told derivatives and by differences, through the rules of earlier
versions, and through SciPy.  ``--runs`` says how many, from ``--seed`` on, ``--units`` by how many
powers of ten variables and values are scaled, ``--kind coupled`` (``saddles-coupled``) that several
variables are coupled.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize

from benchmarks.peers import Vector
from benchmarks.report import Section, Table, Target
from optdriver import MultiStart, create_study

RUNS = 150
MOST = 2000  # evaluations
MIDDLE = 0.5
"""Of the way from a saddle to a minimum: an end that is nearer to the saddle is false."""

TEXT = """Random sums of squares, each symmetric about its start, in random units (`--units`:
variables and values times a power of ten up to that, in the parameters' own numbers, without
`scale`); 2,000 evaluations at most. Two or more variables are fitted, and one or two double wells
are symmetric about the start: about a plane, or under the exchange of two variables that begin
equal. *False* are successes nearer to a saddle than to the minima beside it, whose places are
known. Doors with *0.8.0*, *0.9.0* and *0.11.0* have `convergence_rule` 8, 9 and 11. `MultiStart`
is L-BFGS-B, unscaled; studies measure parameters by the widths of their bounds."""

COUPLED = """Here two to six variables begin where f is even in all of them together, and are
coupled by a random rotation: f falls along one direction of them, of any signs, and rises along the
others."""


class Problem:
    """Residuals, with a saddle in the plane of the start and their least value known.

    Variables: bowls, then wells in one variable, then wells in the difference of two.  Of `coupled`
    ones there is a single well, along a direction of several variables.
    """

    def __init__(self, seed: int, powers: float, *, coupled: bool = False) -> None:
        chance = np.random.default_rng(seed)
        self.bowls = int(chance.integers(1, 4))
        self.wells, self.pairs = [(1, 0), (2, 0), (0, 1), (1, 1)][int(chance.integers(4))]
        self.turn = np.eye(self.wells)
        self.coupled = coupled
        if coupled:
            self.wells, self.pairs = int(chance.integers(2, 7)), 0
            self.turn = np.linalg.qr(chance.normal(size=(self.wells, self.wells)))[0]
        self.n = self.bowls + self.wells + 2 * self.pairs
        self.size = chance.uniform(0.5, 3.0, self.bowls)
        self.at = chance.uniform(-1.5, 1.5, self.bowls)
        self.mix = 0.3 * chance.normal(size=(self.bowls, self.bowls))
        self.depth = chance.uniform(0.5, 3.0, self.wells + self.pairs)
        self.middle = chance.uniform(-1.0, 1.0, self.pairs)
        self.left = float(chance.choice([0.0, 1.0, 10.0]))  # of the residuals
        self.units = 10.0 ** chance.uniform(-powers, powers, self.n)
        self.unit = 10.0 ** chance.uniform(-powers, powers)
        if self.pairs:
            self.units[-2:] = self.units[-1]  # one kind of variable
        wells = np.zeros(self.wells)
        begun = chance.uniform(-2.0, 2.0, self.bowls)
        pair = np.repeat(chance.uniform(-1.0, 1.0, self.pairs), 2)
        self.x0 = np.concatenate([begun, wells, pair]) * self.units
        self.box = np.column_stack([-3.0 * self.units, 3.0 * self.units])
        self.root = float(np.sqrt(self.unit))

    def residuals(self, x: Vector) -> tuple[Vector, Vector]:
        """Return residuals and Jacobian."""
        z = x / self.units
        a, b = z[: self.bowls], z[self.bowls : self.bowls + self.wells]
        c = z[self.bowls + self.wells :].reshape(-1, 2)
        apart, total = c[:, 0] - c[:, 1], c[:, 0] + c[:, 1]
        b = self.turn.T @ b
        falls = np.arange(self.wells) < (1 if self.coupled else self.wells)
        bowl = self.size * (a - self.at) + self.mix @ (a - self.at) ** 2
        deep, deeper = self.depth[: self.wells], self.depth[self.wells :]
        parts = [
            bowl,
            deep * np.where(falls, b**2 - 1.0, b),
            deeper * (apart**2 - 1.0),
            total - 2.0 * self.middle,
        ]
        r = np.concatenate([*parts, [self.left]])
        jacobian = np.zeros((r.size, self.n))
        k, m = self.bowls, self.bowls + self.wells
        jacobian[:k, :k] = np.diag(self.size) + 2.0 * self.mix * (a - self.at)
        jacobian[k:m, k:m] = (deep * np.where(falls, 2.0 * b, 1.0))[:, None] * self.turn.T
        for i in range(self.pairs):
            j = m + 2 * i
            jacobian[m + i, j : j + 2] = 2.0 * deeper[i] * apart[i] * np.array([1.0, -1.0])
            jacobian[m + self.pairs + i, j : j + 2] = 1.0
        return self.root * r, self.root * jacobian / self.units

    def wells_of(self, x: Vector) -> Vector:
        """Return where x is in each well: 0 at a saddle, 1 and -1 at minima."""
        z = x / self.units
        b, c = z[self.bowls : self.bowls + self.wells], z[self.bowls + self.wells :].reshape(-1, 2)
        if self.coupled:
            return self.turn[:, :1].T @ b
        return np.concatenate([b, c[:, 0] - c[:, 1]])

    def value(self, x: Vector) -> tuple[float, Vector]:
        """Return the value and its gradient."""
        r, jacobian = self.residuals(x)
        return 0.5 * float(r @ r), jacobian.T @ r

    def row(self, x: Vector) -> tuple[float, Vector]:
        """Return a row ``<= 0`` that no minimum touches, and its gradient."""
        z = x / self.units
        return float(z @ z) - 9.0 * self.n, 2.0 * z / self.units

    @property
    def text(self) -> str:
        """The same as a text."""
        return " + ".join(f"(x{i + 1}/{u!r})^2" for i, u in enumerate(self.units.tolist())) + (
            f" <= {8.5 * self.n}"
        )


End = tuple[Vector, bool, int]
Way = Callable[[Problem], End]


def scipys(problem: Problem, method: str) -> End:
    """Run a method of SciPy's."""
    if method == "least_squares":
        found = scipy.optimize.least_squares(
            lambda x: problem.residuals(x)[0],
            problem.x0,
            jac=lambda x: problem.residuals(x)[1],
            bounds=problem.box.T,
            max_nfev=MOST,
            x_scale="jac",
        )
        return found.x, bool(found.success), int(found.nfev)
    minimize: Any = scipy.optimize.minimize
    found = minimize(problem.value, problem.x0, jac=True, bounds=problem.box, method=method)
    return found.x, bool(found.success), int(found.nfev)


def study(
    problem: Problem,
    driver: str,
    *,
    jac: bool,
    rule: int,
    text: bool = False,
    outputs: bool = False,
) -> End:
    """Run a study with one minimizer."""
    names = [f"x{i + 1}" for i in range(problem.n)]
    made = create_study(
        {name: tuple(side) for name, side in zip(names, problem.box.tolist(), strict=True)},
        constraints=[problem.text] if text else None,
        outputs={"row": "<= 0"} if outputs else None,
        driver=driver,
        jac=jac,
        initial_samples=[problem.x0.tolist()],
        max_num_minimizers=1,
        max_iter=MOST,
        convergence_rule=rule,
    )
    count = 0
    while (asked := made.ask()) is not None and not (made.runs and made.runs[0].state != "running"):
        count += 1
        x = np.array([asked.params[name] for name in names])
        told = problem.residuals(x) if driver == "least-squares" else problem.value(x)
        slopes = dict(zip(names, np.transpose(told[1]), strict=True)) if jac else None
        if outputs:
            c, slope = problem.row(x)
            known = dict(zip(names, slope, strict=True))
            made.tell(asked.id, told[0], slopes, outputs={"row": (c, known) if jac else c})
        else:
            made.tell(asked.id, told[0], told[1] if jac else None)
    run = made.runs[0]
    x = problem.x0 if run.params is None else np.array([run.params[name] for name in names])
    return x, run.state == "converged", count


def unscaled(problem: Problem, *, jac: bool, rule: int) -> End:
    """Run a multi-start with one minimizer, which measures no variable by the width of its box."""
    made = MultiStart(
        problem.box,
        initial_samples=[problem.x0],
        max_num_minimizers=1,
        jac=jac,
        convergence_rule=rule,
    )
    count = 0
    while count < MOST and not made.done:
        for point in made.ask(1):
            count += 1
            f, g = problem.value(point.x)
            made.tell(point.id, f, g if jac else None)
    run = made.runs[0]
    return problem.x0 if run.x is None else run.x, run.state == "converged", count


DOORS: dict[str, tuple[str, dict[str, bool]]] = {
    "`L-BFGS-B`": ("L-BFGS-B", {}),
    "`L-BFGS-B`, a text constraint": ("L-BFGS-B", {"text": True}),
    "`least-squares`": ("least-squares", {}),
    "`least-squares`, a text constraint": ("least-squares", {"text": True}),
    "`L-BFGS-B` with a limit on an output": ("L-BFGS-B", {"outputs": True}),
    "`SLSQP`": ("SLSQP", {}),
    "`TNC`": ("TNC", {}),
}


KINDS = {"alone": (False, 8, "0.8.0"), "coupled": (True, 9, "0.9.0")}
"""By name, whether variables are coupled, and an older rule, which version had it."""


def ways(older: int, version: str) -> dict[str, Way]:
    """Return the doors, with an `older` rule too, and SciPy's methods."""
    made: dict[str, Way] = {
        f"SciPy {name}": partial(scipys, method=name)
        for name in ("L-BFGS-B", "SLSQP", "TNC", "least_squares")
    }
    for name, (driver, own) in DOORS.items():
        for jac in (True, False):
            for rule, of in ((older, f", {version}"), (12, "")):
                said = name + ("" if jac else ", differences") + of
                made[said] = partial(study, driver=driver, jac=jac, rule=rule, **own)
    for jac in (True, False):
        for rule, of in ((11, ", 0.11.0"), (12, "")):
            said = "`MultiStart`" + ("" if jac else ", differences") + of
            made[said] = partial(unscaled, jac=jac, rule=rule)
    return made


def judged(problem: Problem, end: End) -> str:
    """Return ``'right'``, ``'false'`` or ``'none'``, if no success is claimed."""
    x, success, _ = end
    if not success:
        return "none"
    return "right" if np.abs(problem.wells_of(x)).min() >= MIDDLE else "false"


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks saddles", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--units", type=float, default=1.0, help="powers of ten")
    parser.add_argument("--only", default="", help="doors with this in their names")
    parser.add_argument("--kind", choices=KINDS, default="alone")
    chosen = parser.parse_args(arguments)
    coupled = KINDS[chosen.kind][0]
    with np.errstate(all="ignore"):
        table, targets = counted(chosen)
    return Section(
        name="saddles-coupled" if coupled else "saddles",
        title="Saddles to which symmetry has led" + (", coupled" if coupled else ""),
        text=f"{TEXT} {COUPLED}" if coupled else TEXT,
        targets=targets,
        tables=[table],
    )


def counted(chosen: argparse.Namespace) -> tuple[Table, list[Target]]:
    """Return the table of one kind of saddles, and what is wanted of it."""
    coupled, older, version = KINDS[chosen.kind]
    rows, targets = [], []
    for name, way in ways(older, version).items():
        if chosen.only not in name:
            continue
        ends = []
        for seed in range(chosen.seed, chosen.seed + chosen.runs):
            problem = Problem(seed, chosen.units, coupled=coupled)
            found = way(problem)
            ends.append((judged(problem, found), found[2]))
        counts = [sum(verdict == end for end, _ in ends) for verdict in ("right", "false", "none")]
        rows.append((name, *map(str, counts), str(sum(count for _, count in ends))))
        if not name.startswith("SciPy") and not name.endswith(".0"):
            claim = f"{name}: false successes at {len(ends)} saddles"
            targets.append(Target(claim=claim, value=counts[1], limit=0))
    caption = f"Units up to 10^{chosen.units:g}."
    header = ("door", "right", "false", "neither", "evaluations")
    return Table(header=header, rows=rows, caption=caption), targets
