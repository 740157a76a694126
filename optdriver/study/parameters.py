"""The driver parameters: names, meaning, defaults, and what each accepts.

`TABLE` is the one place that knows them.  A parameter belongs to the study (limits that the study
itself keeps, and that may be changed while it runs) or to the driver (fixed from the first
suggestion on).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final

import numpy as np

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.lbfgsb.options import MOST_PAIRS
from optdriver.leastsquares import LOSSES
from optdriver.leastsquares.options import XTOL
from optdriver.multistart.completeness import STOP_WHEN
from optdriver.multistart.options import MOST_INITIAL
from optdriver.multistart.rules import CONSTRAINT_RULES, CONVERGENCE_RULES, DIFFERENCE_RULES
from optdriver.reading import is_listed, real_number
from optdriver.sqp.options import SQPOptions
from optdriver.study.hints import hint

MEMORY_RULES: Final = (2, 1)
"""2: a point that is open is not asked once more, nor one that failed for good; 1: it is."""

MINIMIZE: Final = "minimize"
MAXIMIZE: Final = "maximize"


@dataclass(frozen=True, slots=True)
class DriverParameter:
    """One row of the table: `check` returns the accepted value or raises; see `TABLE`."""

    name: str
    default: Any
    check: Callable[[str, Any], Any]
    owner: str
    meaning: str


def check_all(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` with real names in place of aliases, and every value checked.

    Raises
    ------
    UnknownOptionError
        For an unknown name, with the nearest known one.
    InputError
        For a value of the wrong kind, and for one parameter given under two names.
    """
    checked: dict[str, Any] = {}
    for written, value in given.items():
        name = ALIASES.get(written, written)
        row = TABLE.get(name)
        if row is None:
            raise unknown_option("driver parameter", written, TABLE, hint(written))
        if name in checked:
            raise InputError(f"driver parameter {name!r} is given twice, once as an alias")
        checked[name] = row.check(written, value)
    return checked


def defaults() -> dict[str, Any]:
    """Return every driver parameter with its default."""
    return {name: row.default for name, row in TABLE.items()}


def owned_by(owner: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters among `values` that belong to ``'study'`` or ``'driver'``."""
    return {name: value for name, value in values.items() if TABLE[name].owner == owner}


_RUN: Final = 10_000
"""Bytes of a minimizer without its arrays."""

MOST_BYTES: Final = 1 << 36
"""No study takes more at its start, wherever it is kept."""


def check_memory(n: int, values: Mapping[str, Any], most: int, where: str = "a study") -> None:
    """Refuse more minimizers at the start, of `n` parameters, than `most` bytes hold.

    Raises
    ------
    InputError
        With the parameters that are too large.
    """
    pairs, runs = int(values["maxcor"]), int(values["num_initial"])
    own = 8 * (2 * pairs * n + 11 * pairs * pairs + 10 * n)  # the matrices of L-BFGS-B
    wanted = runs * (_RUN + own)
    if wanted > most:
        raise InputError(
            f"num_initial = {runs} minimizers with maxcor = {pairs} pairs of {n} parameters would "
            f"take {wanted / 2**30:.3g} GiB at once; {where} may take {most / 2**30:.3g} GiB: use "
            "smaller numbers, or max_num_minimizers for more starts one after the other"
        )


# -- what a value may be ------------------------------------------------------------------


def _wrong(name: str, expected: str, value: Any) -> InputTypeError:
    return InputTypeError(f"driver parameter {name!r} must be {expected}, not {value!r}")


def _real(name: str, expected: str, value: Any) -> float:
    if isinstance(value, list | tuple):
        raise _wrong(name, expected, value)
    try:
        number = real_number(f"driver parameter {name!r}", value)
    except InputTypeError:
        raise _wrong(name, expected, value) from None
    if math.isnan(number):
        raise InputError(f"driver parameter {name!r} must be {expected}, not NaN")
    return number


def _whole(
    least: int, most: float = math.inf, *, endless: bool = False
) -> Callable[[str, Any], float]:
    expected = f"a whole number, {least} or more" + (", or infinite" if endless else "")
    if most < math.inf:
        expected = f"a whole number from {least} to {most}"

    def check(name: str, value: Any) -> float:
        number = _real(name, expected, value)
        if endless and number == math.inf:
            return math.inf
        if math.isinf(number) or not number.is_integer():
            raise _wrong(name, expected, value)
        if not least <= number <= most:
            raise InputError(f"driver parameter {name!r} must be {expected}, not {value!r}")
        return int(value) if isinstance(value, Integral) else int(number)

    return check


def _number(
    least: float, *, open_end: bool = False, endless: bool = False
) -> Callable[[str, Any], float]:
    expected = f"a number {'above' if open_end else 'of at least'} {least:g}"
    if least == -math.inf:
        expected = "a number"

    def check(name: str, value: Any) -> float:
        number = _real(name, expected, value)
        low = number <= least if open_end else number < least
        if low or (math.isinf(number) and not endless):
            raise InputError(f"driver parameter {name!r} must be {expected}, not {value!r}")
        return number

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise _wrong(name, "True or False", value)
    return bool(value)


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _choice(*known: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong(name, f"one of {', '.join(map(repr, known))}", value)
        if value not in known:
            raise unknown_option(f"value of {name!r}:", value, known)
        return value

    return check


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, "a dict of options, as {'xatol': 1e-6}", value)
    return dict(value)


def _samples(name: str, value: Any) -> tuple[Any, ...]:
    """Accept a list of points; they are checked against the space when the study begins."""
    if value is None:
        return ()
    if isinstance(value, Mapping) or not is_listed(value):
        raise _wrong(name, "a list of points, as [[0.5, 0.5], [-0.5, -0.5]]", value)
    rows = tuple(value)
    for row in rows:
        if isinstance(row, str | bytes | int | float) or row is None:
            raise _wrong(name, "a list of points, as [[0.5, 0.5], [-0.5, -0.5]]", value)
    return tuple(map(_sample, rows))


def _sample(row: Any) -> Any:
    if isinstance(row, Mapping):
        return dict(row)
    return tuple(row) if type(row) in (list, tuple) else row


def _steps(name: str, value: Any) -> Any:
    """Accept one step, steps by name, or None; the names are checked against the space."""
    step = _optional(_number(0.0, open_end=True))
    if isinstance(value, Mapping):
        return {key: step(f"{name}[{key!r}]", each) for key, each in value.items()}
    return step(name, value)


def _unit(name: str, value: Any) -> dict[str, str] | None:
    """Accept a unit as the name of its library and its own, or None."""
    if value is None:
        return None
    texts = isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
    if not texts or set(value) != {"library", "unit"}:
        raise _wrong(name, "None or {'library': ..., 'unit': ...}", value)
    return dict(value)


def _rule(known: tuple[int, ...]) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        number = _whole(1)(name, value)
        if number not in known:
            raise InputError(f"driver parameter {name!r} is one of {known}, not {value!r}")
        return int(number)

    return check


# -- the table ----------------------------------------------------------------------------

_ROWS: Final = (
    DriverParameter("max_iter", math.inf, _whole(1, endless=True), "study",
                    "hard cap on evaluations of the objective, finite differences included"),
    DriverParameter("max_time", math.inf, _number(0.0, open_end=True, endless=True), "study",
                    "seconds of run time, since `start_clock` if that was called, kept across "
                    "suspensions"),
    DriverParameter("num_parallel", 1, _whole(1), "study",
                    "open suggestions at a time"),
    DriverParameter("eps", 0.0, _number(0.0), "study",
                    "stop when the next suggestion would lie closer than this to the best point"),
    DriverParameter("min_val", -math.inf, _number(-math.inf, endless=True), "study",
                    "stop when the objective reaches this value or less"),
    DriverParameter("max_val", math.inf, _number(-math.inf, endless=True), "study",
                    "stop when an objective that is maximised reaches this value or more"),
    DriverParameter("num_initial", 1, _whole(1, MOST_INITIAL), "driver",
                    "independent minimizers at the start"),
    DriverParameter("max_num_minimizers", math.inf, _whole(1, endless=True), "driver",
                    "stop when this many minimizers have converged"),
    DriverParameter("sobol_sequence", True, _flag, "driver",
                    "starts from a scrambled Sobol sequence, otherwise uniform random"),
    DriverParameter("initial_samples", (), _samples, "driver",
                    "starts given by the user, used first"),
    DriverParameter("project_starts", True, _flag, "driver",
                    "move initial samples that violate a constraint to the nearest feasible point"),
    DriverParameter("must_stay_feasible", True, _flag, "driver",
                    "ask feasible points only; False lets SLSQP, trust-constr, COBYQA and COBYLA "
                    "take the constraints"),
    DriverParameter("jac", False, _flag, "driver",
                    "the objective supplies its gradient"),
    DriverParameter("step_size", None, _steps, "driver",
                    "step of the finite differences in the parameter's unit, one or by name"),
    DriverParameter("noise", 0.0, _number(0.0), "driver",
                    "error to be expected in a value of the objective"),
    DriverParameter("value_spacing", 0.0, _number(0.0), "driver",
                    "relative spacing of the numbers in which values are computed"),
    DriverParameter("two_sided", False, _flag, "driver",
                    "finite differences on both sides where the bounds leave room"),
    DriverParameter("difference_rule", DIFFERENCE_RULES[-1], _rule(DIFFERENCE_RULES), "driver",
                    "how finite differences are asked for; earlier rules as before"),
    DriverParameter("constraint_rule", CONSTRAINT_RULES[-1], _rule(CONSTRAINT_RULES), "driver",
                    "how minimizers and starts keep to constraints; earlier rules as before"),
    DriverParameter("convergence_rule", CONVERGENCE_RULES[-1], _rule(CONVERGENCE_RULES), "driver",
                    "when minimizers have converged, and to what; earlier rules as before"),
    DriverParameter("ftol", 2.220446049250313e-09, _number(0.0), "driver",
                    "stop a minimizer when the relative decrease is this or less"),
    DriverParameter("gtol", 1e-5, _number(0.0), "driver",
                    "stop a minimizer when the projected gradient is this or less"),
    DriverParameter("feasibility", SQPOptions().feasibility, _number(0.0, open_end=True), "driver",
                    "limits on outputs: part of what one changes by over the size of the "
                    "parameters, by which it may be violated in the end"),
    DriverParameter("xtol", XTOL, _number(0.0), "driver",
                    "least squares: stop a minimizer at this relative offset"),
    DriverParameter("loss", "linear", _choice(*LOSSES), "driver",
                    "least squares: what a residual costs, as in SciPy's least_squares"),
    DriverParameter("f_scale", 1.0, _number(0.0, open_end=True), "driver",
                    "least squares: the residual from which on one counts as an outlier"),
    DriverParameter("maxcor", 10, _whole(1, MOST_PAIRS), "driver",
                    "correction pairs that a minimizer keeps"),
    DriverParameter("maxls", 20, _whole(1), "driver",
                    "steps of a line search"),
    DriverParameter("seed", 0, _whole(0), "driver",
                    "seed of the starts"),
    DriverParameter("start_rule", "sobol", _choice("sobol", "mlsl", "auto"), "driver",
                    "which start comes next: as they come, multi-level single linkage, or the rule "
                    "that knows basins"),
    DriverParameter("stop_when", None, _optional(_choice(*STOP_WHEN)), "driver",
                    "stop when all minima are likely found"),
    DriverParameter("max_failures", 5, _whole(1, endless=True), "driver",
                    "failed iterates in a row that retire a minimizer"),
    DriverParameter("initial_step", None, _optional(_number(0.0, open_end=True)), "driver",
                    "length of the first step of a minimizer, in widths of the box"),
    DriverParameter("method_options", {}, _mapping, "driver",
                    "further options of a driver that is another package's method"),
    DriverParameter("direction", MINIMIZE, _choice(MINIMIZE, MAXIMIZE), "study",
                    "whether the least or the greatest value is looked for"),
    DriverParameter("check_grad", False, _flag, "study",
                    "compare the first supplied gradient with finite differences"),
    DriverParameter("memory", True, _flag, "study",
                    "answer points that have been evaluated before from memory; not with noise"),
    DriverParameter("memory_rule", 2, _rule(MEMORY_RULES), "study",
                    "what memory answers: 2, open and failed points too, or 1, as before, values"),
    DriverParameter("retries", 0, _whole(0), "study",
                    "times that a failed evaluation is tried again at the same point"),
    DriverParameter("worker_retries", 1, _whole(0), "study",
                    "the same when the worker died"),
    DriverParameter("lease_seconds", math.inf, _number(0.0, open_end=True, endless=True), "study",
                    "run time after which an open suggestion counts as lost"),
    DriverParameter("stop_after_flat", 20, _whole(1, endless=True), "study",
                    "starts at which all values are the same and no gradient differs from zero, "
                    "and which stop the study"),
    DriverParameter("stop_after_failures", 100, _whole(1, endless=True), "study",
                    "failed iterates in a row, over all minimizers, that stop the study"),
    DriverParameter("value_unit", None, _unit, "study",
                    "unit of the values, if they have one: that of the first one told"),
    DriverParameter("max_time_from", 0.0, _number(0.0), "study",
                    "run time from which max_time counts: that of the last start_clock"),
)  # fmt: skip

LATER: Final = (
    "num_initial", "max_num_minimizers", "initial_samples", "start_rule", "max_failures",
    "stop_when",
)  # fmt: skip
"""Parameters of the driver that can be changed, and starts that can be added, at any time."""

FIXED: Final = ("check_grad", "direction", "memory_rule")
"""Parameters of the study that cannot be changed once it has begun."""

TABLE: Final[dict[str, DriverParameter]] = {row.name: row for row in _ROWS}

ALIASES: Final = {"f_tol": "ftol"}
"""Accepted names of driver parameters, and the real ones."""
