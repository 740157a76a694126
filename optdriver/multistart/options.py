"""What a multi-start is told at its beginning, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.errors import InputError, InputTypeError, nearest
from optdriver.lbfgsb.options import Options, read_bounds
from optdriver.leastsquares.options import (
    XTOL,
    LeastSquaresOptions,
    rounded_of,
    secant_of,
)
from optdriver.multistart import local
from optdriver.multistart.completeness import ALL_LIKELY, STOP_WHEN
from optdriver.multistart.precision import Precision
from optdriver.multistart.rules import CONSTRAINT_RULES, CONVERGENCE_RULES, DIFFERENCE_RULES
from optdriver.multistart.start_rules import START_RULES
from optdriver.reading import check_count, check_flag, check_real, is_listed, real_array, short
from optdriver.space.sampling import MAX_SOBOL_DIMENSION, Kind, check_box
from optdriver.sqp.options import SQPOptions, check_rows

Vector = NDArray[np.float64]

MOST_INITIAL = 100_000
"""Minimizers that may begin at once."""

DRAWS_BEYOND_SOBOL = 11
"""The `convergence_rule` from which on starts have more dimensions than a Sobol sequence."""

STEP_OF_RULE_1 = 1e-6

ONE_SIDED_XTOL = 1e-5
TWO_SIDED_XTOL = 1e-9
"""The least tolerances of fits with derivatives by differences, of which the second confirm."""

PART_OF_GTOL = 0.1
"""What the first-order conditions are compared with where rows are told: a part of `gtol`."""

ONE_SIDED_GTOL = 1e-5
TWO_SIDED_GTOL = 1e-7
SMALLEST_GTOL = 1e-300
"""The least such tolerances with derivatives by differences, and with exact ones."""

MINIMIZER = frozenset(
    ("ftol", "gtol", "maxcor", "maxls", "maxiter", "maxfun", "initial_step", "noise")
)
"""The options that each minimizer is given."""


@dataclass(frozen=True, kw_only=True)  # without slots: some of it is cached
class MultiStartOptions:
    """The options of `MultiStart`, where they are explained."""

    num_initial: int
    max_num_minimizers: float
    seed: int
    sobol_sequence: bool
    start_rule: str
    jac: bool
    step_size: float | tuple[float | None, ...] | None
    two_sided: bool
    max_failures: float
    x_tolerance: float
    f_tolerance: float
    project_starts: bool = True
    must_stay_feasible: bool = True
    difference_rule: int = DIFFERENCE_RULES[-1]
    constraint_rule: int = CONSTRAINT_RULES[-1]
    convergence_rule: int = CONVERGENCE_RULES[-1]
    minimizer: Mapping[str, Any] = field(default_factory=dict)
    method: str = local.PLAIN
    method_options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "linear"
    f_scale: float = 1.0
    xtol: float = XTOL
    stop_when: str | None = None
    inequalities: tuple[str, ...] = ()
    equalities: tuple[str, ...] = ()
    feasibility: float = SQPOptions().feasibility
    value_spacing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("num_initial", "max_num_minimizers", "max_failures"):
            check_count(name, getattr(self, name), least=1, infinite=name != "num_initial")
        if self.num_initial > MOST_INITIAL:
            raise InputError(
                f"num_initial is at most {MOST_INITIAL}, not {self.num_initial}: so many "
                "minimizers begin at once; minimize_batch runs more of them, one after the other"
            )
        check_count("seed", self.seed, least=0)
        for name, rules in (
            ("difference_rule", DIFFERENCE_RULES),
            ("constraint_rule", CONSTRAINT_RULES),
            ("convergence_rule", CONVERGENCE_RULES),
        ):
            value = getattr(self, name)
            if type(value) is not int or value not in rules:
                raise InputError(f"{name} is one of {rules}, not {value!r}")
        for name in (
            "sobol_sequence", "jac", "two_sided", "project_starts", "must_stay_feasible",
        ):  # fmt: skip
            check_flag(name, getattr(self, name))
        Options(**self.minimizer)
        object.__setattr__(self, "step_size", _checked_steps(self.step_size))
        for name in ("x_tolerance", "f_tolerance", "value_spacing"):
            check_real(name, getattr(self, name), above_zero=False)
        if not isinstance(self.start_rule, str) or self.start_rule not in START_RULES:
            known = " or ".join(repr(rule) for rule in START_RULES)
            hint = nearest(str(self.start_rule), START_RULES)
            raise InputError(f"start_rule is {known}, not {short(self.start_rule)}{hint}")
        when = self.stop_when
        if when is not None and not (isinstance(when, str) and when in STOP_WHEN):
            hint = nearest(str(when), STOP_WHEN)
            raise InputError(f"stop_when is None or {ALL_LIKELY!r}, not {short(when)}{hint}")

        if not isinstance(self.method_options, Mapping):
            raise InputTypeError(
                f"method_options is a dict of options of the method, not {self.method_options!r}"
            )
        object.__setattr__(self, "method", local.checked_method(self.method))
        LeastSquaresOptions(loss=self.loss, f_scale=self.f_scale, xtol=self.xtol)
        SQPOptions(feasibility=self.feasibility)
        for name in ("inequalities", "equalities"):
            object.__setattr__(self, name, _checked_rows(name, getattr(self, name)))
        self._check_rows()
        for name in ("num_initial", "max_num_minimizers", "max_failures", "seed"):
            value = getattr(self, name)
            object.__setattr__(self, name, value if value == math.inf else int(value))

    def _check_rows(self) -> None:
        """Refuse rows with what cannot have them."""
        if self.row_names and self.method != local.LIMITED:
            raise InputError(
                f"rows that are told with the value need method={local.LIMITED!r}, not "
                f"{self.method!r}"
            )
        if self.row_names and self.start_rule != "sobol":
            raise InputError(
                f"start_rule={self.start_rule!r} compares starts by their values, which say "
                "nothing where rows are violated: leave it at 'sobol'"
            )

    @property
    def given_steps(self) -> Vector:
        """The steps of the differences, NaN where the rule finds them: one, or shape (n,)."""
        if self.step_size is None and self.difference_rule == 1:
            return np.array(STEP_OF_RULE_1)
        return np.array(self.step_size, dtype=np.float64)  # None becomes NaN

    @cached_property
    def precision(self) -> Precision | None:
        """That of values in few digits, None where they have those of Python's numbers."""
        if not self.value_spacing:
            return None
        given = self.minimizer
        return Precision(spacing=self.value_spacing, ftol=given["ftol"], noise=given["noise"])

    @property
    def fitting(self) -> bool:
        """Whether residuals are told, and no values."""
        return self.method == local.FITTING

    @cached_property
    def row_names(self) -> tuple[str, ...]:
        """What the rows are called that are told with the value, inequalities first."""
        return self.inequalities + self.equalities

    @cached_property
    def vectors(self) -> bool:
        """Whether vectors are told, residuals or a value with rows, and no values."""
        return self.method == local.FITTING or bool(self.inequalities or self.equalities)

    def of_rows(self, *, two_sided: bool) -> dict[str, Any]:
        """Return the options of each run with rows, by how exact its derivatives are."""
        least = 0.0 if self.jac else TWO_SIDED_GTOL if two_sided else ONE_SIDED_GTOL
        gtol = max(least, PART_OF_GTOL * float(self.minimizer["gtol"]))
        return {
            "inequalities": len(self.inequalities),
            "equalities": len(self.equalities),
            "gtol": gtol or SMALLEST_GTOL,
            "feasibility": self.feasibility,
            "rule": 1 if self.constraint_rule < 7 else min(max(self.convergence_rule - 6, 2), 4),
        }

    @cached_property
    def constant_noise(self) -> float:
        """The noise that is heard with each value with which none is told."""
        heard = self.difference_rule > 4 and self.method == local.PLAIN
        return float(self.minimizer["noise"]) if heard else 0.0

    def of_fits(self, *, two_sided: bool) -> dict[str, Any]:
        """Return the options of each least-squares run, by how exact its derivatives are."""
        least = 0.0 if self.jac else TWO_SIDED_XTOL if two_sided else ONE_SIDED_XTOL
        return {
            "loss": self.loss,
            "f_scale": self.f_scale,
            "xtol": max(self.xtol, least),
            "secant": secant_of(self.convergence_rule),
            "beside": min(max(self.convergence_rule - 8, 0), 2),
            "rounded": rounded_of(self.convergence_rule),
        }

    @property
    def sequence(self) -> Kind:
        """The kind of the starts that are not given."""
        return "sobol" if self.sobol_sequence else "uniform"

    @cached_property
    def gradients(self) -> bool:
        """Whether the method is told gradients."""
        return local.needs_gradient(self.method)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values; infinite counts become None."""
        rows = {"inequalities": list(self.inequalities), "equalities": list(self.equalities)}
        plain = asdict(self) | rows
        return {key: None if value == math.inf else value for key, value in plain.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MultiStartOptions:
        """Return the options of which `to_dict` made `data`."""
        values: dict[str, Any] = {
            key: math.inf if value is None and key not in ("step_size", "stop_when") else value
            for key, value in data.items()
        }
        minimizer = stored.mapping("minimizer", values["minimizer"])
        if set(minimizer) != MINIMIZER:
            raise ValueError(
                f"'minimizer' has {sorted(minimizer)}, and {sorted(MINIMIZER)} expected"
            )
        values.setdefault("difference_rule", DIFFERENCE_RULES[0])
        values.setdefault("constraint_rule", CONSTRAINT_RULES[0])
        values.setdefault("convergence_rule", CONVERGENCE_RULES[0])
        return cls(**values)


def check_wanted(n: Any) -> None:
    """Refuse what is no number of points to ask for."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise InputTypeError(f"ask(n) takes the number of points wanted, not {n!r}")
    if n < 1:
        raise InputError(f"ask(n) takes a positive number of points, not {n}")


def check_bounds(bounds: Any) -> tuple[Vector, Vector]:
    """Return lower and upper bounds of anything that SciPy accepts as bounds.

    Parameters
    ----------
    bounds : sequence of (low, high), array of shape (n, 2), or scipy.optimize.Bounds
        None stands for an infinite side.

    Raises
    ------
    InputError, InputTypeError
        No variables, wrong shape, NaN, a lower bound above the upper one or at +inf.
    """
    if bounds is None:
        raise InputError("bounds are missing: expected a pair (low, high) for every variable")
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        n = max(np.size(bounds.lb), np.size(bounds.ub))
    elif hasattr(bounds, "__len__") and is_listed(bounds):
        n = len(bounds)
    else:
        raise InputTypeError(f"bounds must be a sequence of (low, high) pairs, not {short(bounds)}")
    if n == 0:
        raise InputError("bounds are empty: at least one variable is needed")
    return read_bounds(bounds, n)


def check_samples(samples: Any, lower: Vector, upper: Vector) -> Vector:
    """Return the starts given by the user as an array of shape (k, n)."""
    table = real_array("initial_samples", [] if samples is None else samples)
    if table.size == 0:
        return np.empty((0, lower.size))
    if table.ndim != 2 or table.shape[1] != lower.size:
        raise InputError(
            f"initial_samples has shape {table.shape}, expected (number of samples, {lower.size}): "
            "a list of points, each with a value for every variable"
        )
    inside = (table >= lower) & (table <= upper) & np.isfinite(table)
    for k, i in np.argwhere(~inside):
        raise InputError(
            f"initial sample {k} has {table[k, i]} for variable {i}, whose bounds are "
            f"({lower[i]}, {upper[i]}): give a start inside the bounds"
        )
    return table


def check_steps(steps: float | tuple[float | None, ...] | None, n: int) -> None:
    """Refuse steps for another number of variables."""
    if isinstance(steps, tuple) and len(steps) != n:
        raise InputError(
            f"step_size has {len(steps)} entries, expected one for each of {n} variables"
        )


def start_limit(options: MultiStartOptions, samples: Vector, lower: Vector, upper: Vector) -> float:
    """Return how many starts there are: all of a sequence, the user's, or one single point."""
    if np.all(lower == upper):
        return 1
    bounded = bool(np.all(np.isfinite(lower) & np.isfinite(upper)))
    wide = options.sequence == "sobol" and lower.size > MAX_SOBOL_DIMENSION
    wanted = min(options.num_initial, options.max_num_minimizers)
    if len(samples) < wanted:
        check_box(lower, upper)
    elif wide and options.convergence_rule < DRAWS_BEYOND_SOBOL:
        bounded = False  # there were no others than the user's
    return math.inf if bounded else len(samples)


def _checked_steps(steps: Any) -> float | tuple[float | None, ...] | None:
    """Return one step, or one for each variable; None where the rule finds it."""
    if not is_listed(steps):
        return _checked_step(steps)
    return tuple(_checked_step(step) for step in steps)


def _checked_step(step: Any) -> float | None:
    if step is None:
        return None
    check_real("step_size", step, above_zero=True)
    return float(step)


def _checked_rows(name: str, given: Any) -> tuple[str, ...]:
    """Return the names of rows; of a number of them, which are made."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        check_rows(name, given)
        kind = "inequality" if name == "inequalities" else "equality"
        return tuple(f"{kind} {k + 1}" for k in range(given))
    if isinstance(given, str) or not isinstance(given, list | tuple):
        raise InputTypeError(f"{name} are the names of rows, or their number, not {given!r}")
    if not all(isinstance(each, str) for each in given):
        raise InputTypeError(f"{name} are the names of rows, or their number, not {given!r}")
    if len(set(given)) < len(given):
        raise InputError(f"two {name} have one name: {given!r}")
    return tuple(given)
