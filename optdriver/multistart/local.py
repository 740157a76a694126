"""Which local minimizer a run gets: L-BFGS-B, under constraints one that hands over, or another.

Where constraints have rows (bounds in disguise have none) every run is a `Handover`: L-BFGS-B while
it stays feasible, then a `FeasibleMinimizer`, for which `maxls`, `initial_step` and `noise` have
no meaning: they belong to a line search, which it has not.  With the `method` of another name
every run is a `CallbackMinimizer`, which takes what it knows of them, and may ask points that
violate constraints if it is allowed to; with least squares it is a `LeastSquares`, under
constraints a `Handover` that begins with one; and where rows are told with the value it is an
`SQP`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine import constraints as walls
from optdriver.coroutine.scipy_methods import method_names, named
from optdriver.errors import InputError, nearest, plain_name
from optdriver.lbfgsb import LBFGSB, Options, Stop
from optdriver.multistart import plain
from optdriver.multistart.precision import Precision
from optdriver.multistart.rules import CONSTRAINT_RULES, CONVERGENCE_RULES
from optdriver.multistart.told import Vectors

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.coroutine import CallbackMinimizer
    from optdriver.leastsquares import LeastSquares
    from optdriver.multistart.handover import Handover
    from optdriver.sqp import SQP

Vector = NDArray[np.float64]
Minimizer: TypeAlias = "LBFGSB | Handover | CallbackMinimizer | LeastSquares | SQP"

PLAIN = "L-BFGS-B"
FITTING = "least-squares"
"""The method that is told residuals."""
LIMITED = "trust-region-SQP"
"""The method that is told rows of constraints with the value."""
OURS = (PLAIN, FITTING, LIMITED)
WITH_RESIDUALS = 5
"""The rule of constraints from which on fits under them have a Gauss-Newton model."""
HEEDS_NOISE = 6
"""The rule of constraints from which on minimizers under them allow for noise that was told."""
SQP_DATA = "SQP"
"""What the state of an `SQP` is marked with."""


def checked_method(method: Any) -> str:
    """Return the real name of a method, or raise an error that names the nearest."""
    known = (*OURS, *method_names())
    for ours in OURS:
        if isinstance(method, str) and plain_name(method) == plain_name(ours):
            return ours
    try:
        return named(method).name
    except InputError as error:
        hint = nearest(str(method), known)
        raise InputError(
            f"method {method!r} is not known{hint}; known: {', '.join(known)}"
        ) from error


def check_constraints(
    method: str, constraints: ConstraintSet | None, *, must_stay_feasible: bool
) -> None:
    """Refuse constraints with a method that cannot have them, or must not leave them."""
    if method in OURS:
        return
    walls.check(method, constraints)
    if must_stay_feasible and walls.may_leave(method, constraints):
        raise InputError(
            f"{walls.leaving(method)}: write must_stay_feasible=False to allow it, or choose one "
            "of those"
        )


def may_leave(method: str, constraints: ConstraintSet | None) -> bool:
    """Return whether points that violate constraints may be asked."""
    return method not in OURS and walls.may_leave(method, constraints)


def is_feasible(minimizer: Minimizer) -> bool:
    """Return whether the best point of a minimizer satisfies the constraints."""
    return bool(getattr(minimizer, "feasible", True))


def needs_gradient(method: str) -> bool:
    """Return whether a method is told gradients."""
    return method in OURS or named(method).gradient


def create(
    x0: Vector,
    bounds: Vector,
    constraints: ConstraintSet | None,
    options: Mapping[str, Any],
    method: str = PLAIN,
    own: Mapping[str, Any] | None = None,
    *,
    constraint_rule: int = CONSTRAINT_RULES[-1],
    convergence_rule: int = CONVERGENCE_RULES[-1],
    fit: Mapping[str, Any] | None = None,
    rows: Mapping[str, Any] | None = None,
    precision: Precision | None = None,
) -> Minimizer:
    """Return a new minimizer at `x0`.

    `own` are further options of a `method` of SciPy's, `fit` those of least squares, and `rows`
    those of constraints that are told.  Under constraints least squares were minimised as a value
    with a gradient before `constraint_rule` 5.  `precision` is that of values in few digits, which
    L-BFGS-B without constraints is told with each of them.
    """
    if method == LIMITED:
        return _limited(x0, bounds, constraints, options, rows or {})
    if method == FITTING and not walls.has_rows(constraints):
        from optdriver.leastsquares import LeastSquares

        Options(**options)  # checks those, too, that it does not know
        limits = {name: options[name] for name in ("maxfun", "maxiter")}
        return LeastSquares(x0, bounds, **limits, **(fit or {}))
    if method not in (PLAIN, FITTING):
        LBFGSB(x0, bounds, **options)  # checks the options
        return _suspended(method, x0, bounds, constraints, options, own or {}, convergence_rule)
    if own:
        raise InputError(f"method_options are those of another method than {method}: {dict(own)}")
    if not walls.has_rows(constraints):
        return plain.create(x0, bounds, convergence_rule, options)
    from optdriver.multistart.handover import Handover

    fitted = method == FITTING and constraint_rule >= WITH_RESIDUALS
    return Handover(
        x0,
        constraints,
        rule=constraint_rule,
        convergence_rule=min(convergence_rule, 2),
        fit=(fit or {}) if fitted else None,
        beside=min(max(convergence_rule - 6, 0), 4),
        precision=None if fitted else precision,
        **options,
    )


def _limited(
    x0: Vector,
    bounds: Vector,
    constraints: ConstraintSet | None,
    options: Mapping[str, Any],
    rows: Mapping[str, Any],
) -> SQP:
    from optdriver.sqp import SQP

    Options(**options)  # checks those, too, that it does not know
    limits = {name: options[name] for name in ("maxfun", "maxiter")}
    return SQP(x0, bounds, constraints=constraints, **limits, **rows)


def _suspended(
    method: str,
    x0: Vector,
    bounds: Vector,
    constraints: ConstraintSet | None,
    options: Mapping[str, Any],
    own: Mapping[str, Any],
    convergence_rule: int,
) -> CallbackMinimizer:
    from optdriver.coroutine import CallbackMinimizer

    Options(**options)  # checks those, too, that the method does not know
    known = named(method).options
    shared = {name: value for name, value in options.items() if name in known}
    if walls.has_rows(constraints):
        shared.pop("gtol", None)  # trust-constr's own is that of complementarity, too
    if "fatol" in known:
        shared["fatol"] = options["ftol"]
    settings = {**shared, "maxfun": options["maxfun"], **own}
    made = CallbackMinimizer(
        method,
        x0,
        bounds,
        constraints=constraints,
        cautious=convergence_rule > 1,
        beside=min(max(convergence_rule - 8, 0), 2),
        unit_rule=4 if convergence_rule > 5 and constraints is None else 3,
        doubt_rule=min(max(convergence_rule - 9, 1), 4),
        **settings,
    )
    return made.without_undo()  # the multi-start undoes what is broken off


def go_on_from(minimizer: Minimizer, before: Minimizer) -> None:
    """Let a new minimizer measure f, and what is gained, as the one `before` it in its run did."""
    if isinstance(minimizer, LBFGSB) and isinstance(before, LBFGSB) and before.state.cautious:
        plain.go_on_from(minimizer, before)
    elif type(minimizer) is type(before) and hasattr(minimizer, "go_on_from"):
        minimizer.go_on_from(before)  # type: ignore[arg-type]


def keep_model(minimizer: Minimizer, before: Minimizer) -> None:
    """Let a new minimizer begin with the model of the one `before` it in its run, if it has one."""
    if isinstance(minimizer, LBFGSB) and isinstance(before, LBFGSB):
        plain.keep_model(minimizer, before)


def tell(minimizer: Minimizer, f: float, g: Vector | None, made: Vectors | None = None) -> None:
    """Tell a value and the gradient, None for a method that needs none; or vectors."""
    receiver: Any = minimizer
    if made is not None and takes_vectors(minimizer):
        receiver.tell(*made)
    elif hasattr(minimizer, "multipliers") and g is not None:  # rows of which there are none
        receiver.tell([f], [g])
    else:
        receiver.tell(f, g)


def allow(minimizer: Minimizer, noise: float, least: float, rule: int = HEEDS_NOISE) -> None:
    """Let a minimizer allow for `noise` in a difference of values, and for `least` in any case.

    Before `rule` 6 of constraints only L-BFGS-B does, in its line search.
    """
    plain: Any = getattr(minimizer, "plain", minimizer)  # that of a Handover
    if isinstance(plain, LBFGSB):
        plain.state.noise = max(noise, least)
    receiver: Any = minimizer
    if rule >= HEEDS_NOISE and hasattr(minimizer, "allow_for"):
        receiver.allow_for(max(noise, least))


def rounding(minimizer: Minimizer | None) -> float:
    """Return the standard deviation of the rounding errors of residuals that a fit has learnt."""
    fit = _fit(minimizer)
    return 0.0 if fit is None else float(fit.noise)


def allow_for_rounding(minimizer: Minimizer, noise: float) -> None:
    """Let a fit know the same."""
    fit = _fit(minimizer)
    if fit is not None:
        fit.allow_for_rounding(noise)


def _fit(minimizer: Minimizer | None) -> Any:
    """Return what learns to how many digits residuals are printed, None if nothing does."""
    plain: Any = getattr(minimizer, "plain", minimizer)  # that of a Handover
    return plain if hasattr(plain, "allow_for_rounding") else None


def at_work(minimizer: Minimizer) -> Any:
    """Return the minimizer that a hand-over has at work, or what is no hand-over itself."""
    if getattr(minimizer, "handed_over", True):
        return minimizer
    return getattr(minimizer, "plain", minimizer)


def takes_vectors(minimizer: Minimizer) -> bool:
    """Return whether a minimizer is told residuals, or a value with rows."""
    return hasattr(minimizer, "m") and (has_factors(minimizer) or bool(minimizer.m))


def has_factors(minimizer: Minimizer) -> bool:
    """Return whether a minimizer fits."""
    return bool(getattr(minimizer, "fits", hasattr(minimizer, "factors")))


def beside(minimizer: Minimizer) -> int:
    """Return by how many variables the pending point lies beside an end; 0 if it does not."""
    return int(getattr(minimizer, "beside", 0))


def known_beside(
    minimizer: Minimizer, f: float, made: Vectors | None
) -> tuple[Vector | None, Vectors | None]:
    """Return what to tell for derivatives beside an end, if the value there says enough.

    That is the gradient at the end and, in a fit, its Jacobian.

    One that is not lower does where a single variable was moved, and ends the run; where there are
    more the gradient may tell which of them have hidden that f falls along others.
    """
    if beside(minimizer) != 1 or minimizer.best is None or f < minimizer.best[1]:
        return None, made
    if made is None:
        return minimizer.best[2], None
    known: Any = getattr(minimizer, "iterate", None) if has_factors(minimizer) else None
    return (None, made) if known is None else (minimizer.best[2], Vectors(made.values, known[2]))


def vector(minimizer: Minimizer, x: Vector) -> Vector | None:
    """Return the residuals, or the value and the rows, at `x` where a minimizer has them."""
    known: Any = getattr(minimizer, "iterate", None) if takes_vectors(minimizer) else None
    return known[1] if known is not None and np.array_equal(known[0], x) else None


def reason(minimizer: Minimizer) -> str:
    """Return why a minimizer ended, in words."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.message
    report = _report(minimizer)
    message = str(report["message"])
    if minimizer.converged and not report.get("certified", True):
        return f"{message}; not certified, since an active constraint has a kink there"
    return message


def _report(minimizer: Minimizer) -> Mapping[str, Any]:
    """Return the fields of a result, where that goes without SciPy's class (long to import)."""
    report = getattr(minimizer, "report", None)
    found: Mapping[str, Any] = minimizer.result if report is None else report()
    return found


def unit(minimizer: Minimizer) -> float:
    """Return the size of f that a minimizer has learnt, 1 where it has not."""
    return float(minimizer.state.unit) if isinstance(minimizer, LBFGSB) else 1.0


def lost(minimizer: Minimizer) -> bool:
    """Return whether a minimizer ended because its gradients did not fit the values."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.stop == Stop.ABNORMAL
    return str(minimizer.stop) in ("stalled", "abnormal")


def is_stationary(minimizer: Minimizer) -> bool:
    """Return whether a minimizer ended since its gradient, if it is exact, vanishes there."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.stop == Stop.PROJECTED_GRADIENT
    return str(minimizer.stop) == "optimal"


def unbounded(minimizer: Minimizer) -> bool:
    """Return whether a minimizer ended because the objective falls without end."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.stop == Stop.UNBOUNDED
    return str(minimizer.stop) == "unbounded"


def conditions(
    minimizer: Minimizer,
    constraints: ConstraintSet | None,
    *,
    exact: bool = True,
    names: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Return what is known of constraints and bounds at the best point.

    None where nothing is: without a gradient, and constraints.

    ``active``: the names of the constraints that are active.  ``multipliers``: by name, of these.
    ``bounds``: the multipliers of the box, zero away from it, above zero at an upper side and below
    zero at a lower one; NaN where none can be told.  ``residual``: of the first-order conditions,
    which `gtol` is compared with.

    Not `exact` are gradients by differences: on equalities they are those along the surface, from
    which no multiplier can be told, so that none is.  `names` are those of rows that are told.
    """
    best = minimizer.best
    if best is None:
        return None
    own: Any = getattr(minimizer, "conditions", None)
    if own is not None:  # an SQP
        made: dict[str, Any] | None = own(names)
        return made
    if constraints is None or not walls.has_rows(constraints):
        return _at_box(minimizer, constraints, best)
    report = _report(minimizer)
    if math.isnan(report.get("kkt", 0.0)):  # nothing but values was told
        return {
            "active": list(report["active"]),
            "multipliers": {},
            "bounds": report["bound_multipliers"].tolist(),
            "residual": math.nan,
        }
    known, bounds = dict(report["multipliers"]), report["bound_multipliers"]
    for (i, _), name in constraints.bound_names.items():
        if not math.isnan(bounds[i]):
            known.setdefault(name, abs(bounds[i]))
    active, told = list(report["active"]), exact or not constraints.n_equalities
    return {
        "active": active,
        "multipliers": {name: float(known[name]) for name in active if name in known and told},
        "bounds": (bounds if told else np.full_like(bounds, np.nan)).tolist(),
        "residual": float(report["kkt"]),
        **_of_fit(minimizer),
    }


def _of_fit(minimizer: Minimizer) -> dict[str, Any]:
    """Return what a covariance is made of, where residuals are told."""
    fit: Any = getattr(minimizer, "factors", None)
    return {} if fit is None else {"fit": fit.to_dict()}


def box(minimizer: Minimizer) -> tuple[Vector, Vector] | None:
    """Return both sides of the box in which a minimizer stays; None where constraints hold it."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.state.vector("l"), minimizer.state.vector("u")
    found: tuple[Vector, Vector] | None = getattr(minimizer, "bounds", None)
    return found


def _at_box(
    minimizer: Minimizer,
    constraints: ConstraintSet | None,
    best: tuple[Vector, float, Vector | None],
) -> dict[str, Any] | None:
    """Return the same where all constraints, if there are any, are sides of the box."""
    lower, upper = box(minimizer)  # type: ignore[misc]  # a Handover has rows
    x, _, g = best
    if g is None or not np.isfinite(g).all():
        return None
    sides = {"lower": (x == lower) & (g >= 0.0), "upper": (x == upper) & (g <= 0.0)}
    held = sides["lower"] | sides["upper"]
    names = {} if constraints is None else constraints.bound_names
    known = {name: abs(float(g[i])) for (i, side), name in names.items() if sides[side][i]}
    slope = np.where(held, 0.0, g)
    return {
        "active": list(known),
        "multipliers": known,
        "bounds": (slope - g).tolist(),
        "residual": float(np.abs(slope).max(initial=0.0)),
        **_of_fit(minimizer),
    }


def to_dict(minimizer: Minimizer) -> dict[str, Any]:
    """Return a minimizer as data, without the constraints."""
    shared = walls.has_rows(getattr(minimizer, "constraints", None))  # of a method of SciPy's
    if shared or hasattr(minimizer, "conditions"):
        return minimizer.to_dict(constraints=False)  # type: ignore[call-arg]
    return minimizer.to_dict()


def copied(minimizer: Minimizer, constraints: ConstraintSet | None) -> Minimizer:
    """Return an independent copy of a minimizer, which has the same constraints."""
    if isinstance(minimizer, LBFGSB) or hasattr(minimizer, "conditions"):
        return minimizer.copy()
    return from_dict(to_dict(minimizer), constraints)


def from_dict(data: Mapping[str, Any], constraints: ConstraintSet | None) -> Minimizer:
    """Return the minimizer of which `to_dict` made `data`."""
    if data.get("method") == FITTING:
        from optdriver.leastsquares import LeastSquares

        return LeastSquares.from_dict(data)
    if data.get("method") == SQP_DATA:
        from optdriver.sqp import SQP

        return SQP.from_dict(data, constraints)
    if "method" in data:
        from optdriver.coroutine import CallbackMinimizer

        return CallbackMinimizer.from_dict(data, constraints).without_undo()
    if constraints is None or not walls.has_rows(constraints):
        return LBFGSB.from_dict(dict(data))
    from optdriver.multistart.handover import Handover

    return Handover.from_dict(data, constraints)
