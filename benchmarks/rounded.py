"""Claim: fits of a model whose numbers are printed with few digits end where these digits allow.

``python -m benchmarks rounded`` fits random models, whose values are printed with three to eight
digits, by studies with differences and with Jacobians, and by SciPy's `least_squares`, and counts
the successes that are claimed farther above the minimum than the digits allow.  With ``--keep
FILE`` what was done is kept there and not done again, and ``--seconds`` ends a run that is to be
continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import optimize

from benchmarks.claims import Ended, Spent, counted
from benchmarks.peers import Vector
from benchmarks.report import Section
from optdriver import create_study

LIMIT = 3000
PLACES = ("3 digits", "4 digits", "5 digits", "6 digits", "7 digits", "8 digits", "all digits")
TEXT = """Random fits of three to five parameters to 12 to 60 data: a decay, two decays, a peak on
a slope, a saturation, a damped oscillation, a power law, a ratio of polynomials; parameters in
units of 1e-3 to 1e3, data with errors of 0, 1 or 5 per cent, sides of the box at a tenth and at ten
times what the data were made with, starts anywhere in it. The model is evaluated exactly and each
of its values *printed with so many digits*, and each derivative too, where Jacobians are told. An
evaluation is one of all residuals (with their Jacobian, where it is told); 3,000 at most. *Above*
is the exact value at the end above the least one that an exact fit finds from there, in parts of
what the digits allow: four standard deviations of a value that they make (of rounding errors
that are independent and uniform), and `1e-8` of it. A claim of success is *false* where that is
more than 1. `diff_step` is 10 to minus half the digits, which SciPy's users would have to give.
`rule 12` is ours as it was in 0.12.0."""


def decay(t: Vector, p: Any) -> Any:
    """Return a decay to a level."""
    return p[0] * np.exp(-p[1] * t) + p[2]


def decays(t: Vector, p: Any) -> Any:
    """Return two decays."""
    return p[0] * np.exp(-p[1] * t) + p[2] * np.exp(-p[3] * t)


def peak(t: Vector, p: Any) -> Any:
    """Return a peak on a slope."""
    return p[0] * np.exp(-(((t - p[1]) / p[2]) ** 2)) + p[3] + p[4] * t


def saturation(t: Vector, p: Any) -> Any:
    """Return a law of Hill's."""
    return p[0] * t / (p[1] + t) + p[2]


def oscillation(t: Vector, p: Any) -> Any:
    """Return a damped oscillation."""
    return p[0] * np.exp(-p[1] * t) * np.cos(p[2] * t)


def power(t: Vector, p: Any) -> Any:
    """Return a power of a shifted argument."""
    return p[0] * np.exp(p[1] * np.log(t + p[2]))


def ratio(t: Vector, p: Any) -> Any:
    """Return a ratio of polynomials."""
    return (p[0] + p[1] * t) / (1.0 + p[2] * t + p[3] * t**2)


MODELS: tuple[tuple[Callable[[Vector, Any], Any], tuple[float, ...]], ...] = (
    (decay, (2.0, 0.8, 0.5)),
    (decays, (2.0, 0.4, 1.0, 2.5)),
    (peak, (2.0, 2.0, 0.7, 0.5, 0.2)),
    (saturation, (3.0, 1.0, 0.3)),
    (oscillation, (2.0, 0.3, 1.5)),
    (power, (1.5, 0.7, 0.4)),
    (ratio, (1.0, 0.5, 0.3, 0.4)),
)


class Task:
    """One of them."""

    def __init__(self, seed: int, place: str) -> None:
        chance = np.random.default_rng([17, seed])
        self.digits = 0 if place.startswith("all") else int(place.split()[0])
        self.model, middle = MODELS[int(chance.integers(len(MODELS)))]
        self.n = len(middle)
        self.units = 10.0 ** chance.uniform(-3.0, 3.0, self.n)
        self.times = float(10.0 ** chance.uniform(-3.0, 3.0))
        true = np.array(middle) * np.exp(0.3 * chance.standard_normal(self.n))
        self.t = np.sort(chance.uniform(0.05, 4.0, int(chance.integers(12, 61))))
        exact = self.times * self.model(self.t, true)
        errors = float(chance.choice([0.0, 0.01, 0.05])) * np.abs(exact).max()
        self.data = exact + errors * chance.standard_normal(self.t.size)
        self.box = np.array([true / 10.0, true * 10.0]).T * self.units[:, None]
        self.start = self.units * true * 10.0 ** chance.uniform(-0.9, 0.9, self.n)

    def printed(self, values: Vector) -> Vector:
        """Return what is left of values that are printed."""
        if not self.digits:
            return np.asarray(values)
        texts = [f"{float(value):.{self.digits}g}" for value in values.ravel()]
        return np.array(texts, dtype=np.float64).reshape(values.shape)

    def exact(self, x: Vector) -> Vector:
        """Return the residuals before anything is printed."""
        return np.asarray(self.times * self.model(self.t, x / self.units) - self.data)

    def exact_jacobian(self, x: Vector) -> Vector:
        """Return their derivatives, by complex steps."""
        columns = []
        for i in range(self.n):
            at = (x / self.units).astype(complex)
            at[i] += 1e-30j
            columns.append(self.times * self.model(self.t, at).imag / 1e-30 / self.units[i])
        return np.array(columns).T

    def residuals(self, x: Vector) -> Vector:
        """Return the residuals as a program has them that reads what the model prints."""
        return self.printed(self.exact(x) + self.data) - self.data

    def jacobian(self, x: Vector) -> Vector:
        """Return the derivatives that the model prints."""
        return self.printed(self.exact_jacobian(x))

    def above(self, x: Vector) -> float:
        """Return how much higher the value is than a fit can make it, in what digits allow."""
        at, sizes = x, np.maximum(np.abs(x), 1e-300)
        tight: dict[str, Any] = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
        inside = np.clip(at, self.box[:, 0] * (1 + 1e-9), self.box[:, 1] * (1 - 1e-9))
        found = optimize.least_squares(
            self.exact,
            inside,
            self.exact_jacobian,
            self.box.T,
            x_scale=sizes,
            max_nfev=500,
            **tight,
        )
        here, r = float(np.sum(self.exact(x) ** 2)) / 2, found.fun
        spread = np.zeros(r.size)
        if self.digits:
            decade = np.floor(np.log10(np.maximum(np.abs(r + self.data), 1e-300)))
            spread = 10.0 ** (decade - self.digits + 1) / np.sqrt(12.0)
        allowed = 4.0 * np.sqrt(np.sum((r * spread) ** 2) + np.sum(spread**2) ** 2 / r.size)
        allowed += self.n * np.mean(spread**2) + 1e-8 * found.cost + 1e-20 * np.sum(self.data**2)
        return float((here - min(here, found.cost)) / allowed)


def study(seed: int, place: str, *, told: bool, rule: int) -> Ended:
    """Run one minimizer of a study."""
    task = Task(seed, place)
    names = [f"x{i + 1}" for i in range(task.n)]
    made = create_study(
        {name: tuple(side) for name, side in zip(names, task.box.tolist(), strict=True)},
        driver="least-squares", jac=told, initial_samples=[task.start.tolist()],
        max_num_minimizers=1, convergence_rule=rule,
    )  # fmt: skip
    calls = 0
    while calls < LIMIT and (asked := made.ask()) is not None and asked.run == 0:
        x, calls = np.array([asked.params[name] for name in names]), calls + 1
        derivatives = task.jacobian(x) if told else None
        made.tell(asked.id, residuals=task.residuals(x), jacobian=derivatives)
    run = made.runs[0]
    x = task.start if run.params is None else np.array([run.params[name] for name in names])
    return run.state == "converged", task.above(x), calls


def scipys(seed: int, place: str, *, told: bool, step: bool) -> Ended:
    """Run SciPy's."""
    task, calls, x = Task(seed, place), 0, np.zeros(0)

    def residuals(at: Vector) -> Vector:
        nonlocal calls, x
        if calls >= LIMIT:
            raise Spent
        calls, x = calls + 1, np.array(at)
        return task.residuals(at)

    given: dict[str, Any] = {"jac": task.jacobian} if told else {}
    if step and task.digits:
        given["diff_step"] = 10.0 ** (-task.digits / 2)
    try:
        found = optimize.least_squares(
            residuals, task.start, bounds=task.box.T, x_scale=task.start, **given
        )
    except (Spent, ValueError, ArithmeticError, np.linalg.LinAlgError):
        return False, task.above(x if x.size else task.start), calls
    return bool(found.success), task.above(found.x), calls


def ways(place: str) -> dict[str, Callable[[int], Ended]]:
    """Return who is run there."""
    made: dict[str, Callable[[int], Ended]] = {}
    for how, told in (("differences", False), ("Jacobians", True)):
        for rule in (13, 12):
            old = ", rule 12" * (rule == 12)
            made[f"study, {how}{old}"] = partial(study, place=place, told=told, rule=rule)
        made[f"SciPy, {how}"] = partial(scipys, place=place, told=told, step=False)
        if not told and not place.startswith("all"):
            made["SciPy, differences, diff_step"] = partial(
                scipys, place=place, told=False, step=True
            )
    return made


def run(arguments: Sequence[str] = ()) -> Section:
    """Run all and return the section of the results."""
    return counted(
        arguments,
        Section(name="rounded", title="Fits of what is printed with few digits", text=TEXT),
        __doc__,
        places=PLACES,
        ways=ways,
        noun="fits",
        heads="fits",
        old="rule",
        most=1.0,
    )
