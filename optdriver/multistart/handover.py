"""L-BFGS-B as long as it stays feasible by itself; then the feasible minimizer.

A constraint that is nowhere near costs nothing: the points are those of L-BFGS-B.  A point that
violates a constraint is never asked: half of the step is tried, since in a box the first one goes
all the way.  If that is infeasible too, or the first point of the next search, the feasible
minimizer takes over from the best point told, with its value, its gradient and the correction
pairs; so nothing is evaluated twice.  It also takes over where L-BFGS-B ends, and tells whether the
first-order conditions hold there; if not, it goes on.

In evaluations to 1e-6 of the best value, on 48 problems of Hock and Schittkowski: 393, where the
feasible minimizer alone takes 303 (65 of the difference are on HS105); on Rosenbrock's,
Rastrigin's, Styblinski's and quadratic functions in discs and balls, until converged: 3931 beside
4274.  Handing over at the first infeasible point is no better on the former (390) and as the
feasible minimizer alone on the latter; shorter steps (a quarter, a fortieth) are worse on the
former (419, 482).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver import stored
from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, ProtocolError
from optdriver.feasible import FeasibleMinimizer
from optdriver.feasible import Stop as FeasibleStop
from optdriver.feasible.convergence import first_change
from optdriver.feasible.options import pairs_kept
from optdriver.feasible.region import sizes
from optdriver.feasible.state import RULE
from optdriver.lbfgsb import LBFGSB, Options, Stop
from optdriver.leastsquares import LeastSquares
from optdriver.leastsquares import Stop as FitStop
from optdriver.leastsquares.covariance import Factors
from optdriver.multistart import plain
from optdriver.multistart.precision import Precision
from optdriver.reading import real_number, real_vector

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Vector = NDArray[np.float64]

VERSION = 1
NEVER = -2
RULES_BESIDE = (5, 5, 6, 7, 8)
"""The rule of the feasible minimizer by `beside`, where it is not older; later ones are `rule`."""
COMMON_OPTIONS = ("gtol", "ftol", "maxfun", "maxiter", "maxcor")
"""The options that both minimizers have."""

_STOPS: dict[Any, FeasibleStop] = {
    Stop.FAILED: FeasibleStop.FAILED,
    Stop.HALTED: FeasibleStop.HALTED,
    Stop.UNBOUNDED: FeasibleStop.UNBOUNDED,
    FitStop.FAILED: FeasibleStop.FAILED,
    FitStop.HALTED: FeasibleStop.HALTED,
}


class Handover:
    """Minimise under constraints, by L-BFGS-B as long as they do not matter.

    Parameters
    ----------
    x0 : array_like, shape (n,)
        Start; moved to a feasible point if it violates a constraint.
    constraints : ConstraintSet
        With the box.
    rule : {10, 9, 8, 4, 3, 2, 1}
        From 8 on that of the feasible minimizer; below, what earlier versions recorded, as its
        own of the same number, with 1 for one shortened step after the other, besides, and the
        pairs of L-BFGS-B.
    convergence_rule : {3, 2, 1}
        1 as in optdriver 0.1.0: f has no unit, and `ftol` no meaning after the handover.
    fit : mapping, optional
        Residuals are told: `loss`, `f_scale` and `xtol` of `optdriver.LeastSquares`, which works
        in place of L-BFGS-B, before a feasible minimizer with a Gauss-Newton model.
    beside : {4, 3, 2, 1, 0}
        4: ask points beside an end to which symmetry may have led; 3: in a single direction; 2: not
        in fits; 1: besides, only where slopes are below a 16th of `gtol`; 0: nowhere.
    precision : Precision, optional
        That of values in few digits.
    **options
        See `optdriver.lbfgsb.Options`; `gtol`, `ftol`, `maxfun`, `maxiter` and `maxcor` hold for
        both.

    Notes
    -----
    Where there are equalities, or the start is not strictly feasible, the feasible minimizer works
    from the beginning.  Success is always its own: a point that passes its tests under all
    constraints.
    """

    __slots__ = (
        "_began",
        "_beside",
        "_constraints",
        "_convergence_rule",
        "_feasible",
        "_first",
        "_fit",
        "_halved",
        "_limits",
        "_plain",
        "_precision",
        "_rule",
        "_skipped",
        "_skipped_at",
        "_start",
    )

    def __init__(
        self,
        x0: ArrayLike,
        constraints: ConstraintSet,
        *,
        rule: int = RULE,
        convergence_rule: int = 3,
        fit: Mapping[str, Any] | None = None,
        beside: int = 4,
        precision: Precision | None = None,
        **options: Any,
    ) -> None:
        settings = Options.read(options)  # type: ignore[arg-type]  # it names what is unknown
        self._constraints = constraints
        self._limits = {name: getattr(settings, name) for name in COMMON_OPTIONS}
        self._rule, self._convergence_rule = rule, convergence_rule
        self._fit = None if fit is None else dict(fit)
        self._began: Vector | None = None
        self._beside, self._precision = beside, precision
        if rule > 1 and settings.maxcor == Options().maxcor:
            self._limits["maxcor"] = pairs_kept(constraints.n)  # more are worth their time here
        self._feasible: FeasibleMinimizer | None = None
        start = np.array(x0, dtype=np.float64)
        if constraints.n_equalities or not constraints.is_feasible(start):
            self._feasible = self._made(start, **self._limits)
            start = self._feasible.ask()
        self._began = start
        box = np.column_stack([constraints.lower, constraints.upper])
        counted = options | {"maxfun": np.inf}  # here
        self._plain: LBFGSB | LeastSquares = (
            plain.create(start, box, convergence_rule, counted)
            if self._fit is None
            else LeastSquares(start, box, **self._fit_alone, maxiter=settings.maxiter)
        )
        self._start = start
        self._first: tuple[float, float] | None = None  # value, and change by a variable's size
        self._skipped = 0  # points that were not asked, as they are infeasible
        self._skipped_at = NEVER  # the iteration of the last of them
        self._halved = False  # whether one of them is among the failures in a row

    # -- asking and telling ---------------------------------------------------------------------

    @property
    def _now(self) -> LBFGSB | LeastSquares | FeasibleMinimizer:
        """The one that is asked and told."""
        return self._feasible or self._plain

    def ask(self) -> Vector:
        """Return a copy of the pending point, which is feasible; the same until it is told."""
        return self._now.ask()

    def tell(self, f: Any, g: Any) -> None:
        """Take value and gradient at the pending point; not finite counts as a failure.

        In a fit these are the residuals and their Jacobian.
        """
        if self._feasible is not None:
            self._feasible.tell(f, g)
            return
        self._running("tell")
        if isinstance(self._plain, LBFGSB):
            self._tell_value(self._plain, f, g)
        else:
            self._plain.tell(f, g)
            if self._first is None and (best := self._plain.best) is not None:
                x, value, gradient = best
                self._first = (value, first_change(self._sizes(x), gradient))
            self._look()

    def _tell_value(self, plain: LBFGSB, f: Any, g: Any) -> None:
        if self._first is None or self._precision is not None:
            value, gradient = real_number("the value", f), real_vector("the gradient", g, self.n)
            self._measure(plain, value, gradient)
        plain.tell(f, g)
        self._look()

    def _measure(self, plain: LBFGSB, value: float, gradient: Vector) -> None:
        """Take from what is told next how large f is at first, and in how many digits it comes."""
        if self._first is None and np.isfinite(value) and np.isfinite(gradient).all():
            self._first = (value, first_change(self._sizes(plain.ask()), gradient))
        if self._precision is not None:
            self._precision.tell(plain, value)

    def _sizes(self, x: Vector) -> Vector:
        return sizes(x, self._constraints.lower, self._constraints.upper)

    def tell_failure(self, reason: str = "") -> None:
        """Take the news that the pending point could not be evaluated."""
        self._running("tell_failure")
        self._now.tell_failure(reason)
        self._look()

    def halt(self, reason: str = "") -> None:
        """Stop from outside."""
        self._running("halt")
        self._now.halt(reason)

    def _running(self, call: str) -> None:
        if self._now.done:
            raise ProtocolError(f"{call}() after the run has ended ({self.result.message})")

    def _look(self) -> None:
        """Hand over when the next point is infeasible, or L-BFGS-B has nothing more to ask."""
        plain = self._plain
        if self._feasible is not None or (plain.done and plain.stop in _STOPS):
            return
        failed, leaves = plain.failures, self._leaves()
        if not failed:
            self._halved = False
        # a second one in a row: the way leads to the boundary
        if leaves and not failed and (self._rule == 1 or plain.nit > self._skipped_at + 1):
            plain.tell_failure("infeasible")  # half of the step is tried: nothing was evaluated
            self._skipped, self._halved = self._skipped + 1, True
            self._skipped_at = plain.nit
            leaves = self._leaves()
        if leaves or plain.done or self.nfev >= self._limits["maxfun"]:
            evaluations = self._limits["maxfun"] - self.nfev
            self._feasible = self._successor(evaluations, self._limits["maxiter"] - plain.nit)

    def _leaves(self) -> bool:
        """Tell whether the next point of L-BFGS-B is infeasible."""
        return not (self._plain.done or self._constraints.is_feasible(self._plain.ask()))

    def _successor(self, evaluations: float, steps: float) -> FeasibleMinimizer:
        """Return a feasible minimizer that has been told the best point, and what it may do."""
        limits = self._limits | {"maxfun": evaluations + 1, "maxiter": steps, "first": self.first}
        if isinstance(self._plain, LBFGSB):
            settled = self._plain.stop is Stop.REDUCTION and self._precision is None
            limits |= {"pairs": self._plain.pairs, "settled": settled}
        else:
            limits["settled"] = self._plain.converged
        x, *told = self._known_of_plain()
        made = self._made(x, **limits)
        made.tell(*told)
        return made

    def _made(self, x: Vector, **given: Any) -> FeasibleMinimizer:
        rule = 1 if self._convergence_rule == 1 else min(max(2, self._rule), RULES_BESIDE[0])
        if self._beside > 1:
            rule = RULES_BESIDE[self._beside]
        if self._beside == len(RULES_BESIDE) - 1:
            rule = max(rule, self._rule)
        told = {} if self._fit is None else {"residuals": True, **self._fit}
        told.pop("secant", None)  # it always learns
        told.pop("rounded", None)  # it does not learn that
        told.pop("beside", None)  # it has its own
        told |= {"began": self._began, "beside": self._beside > 0}
        if self._precision is not None:
            told["value_spacing"] = self._precision.spacing
        return FeasibleMinimizer(x, self._constraints, rule=rule, **told, **given)

    def _known_of_plain(self) -> tuple[Vector, Any, Any]:
        """Return the best point of the first minimizer, and what was told there."""
        plain = self._plain
        known = plain.best if isinstance(plain, LBFGSB) else plain.iterate
        if known is None:
            raise ProtocolError("nothing has been evaluated yet")
        return known

    def allow_for(self, noise: float) -> None:
        """Say by how much two values that are equal may differ: steps are not refused for it."""
        if self._feasible is not None:
            self._feasible.allow_for(noise)
        elif isinstance(self._plain, LBFGSB):
            self._plain.state.noise = float(noise)

    # -- what is known --------------------------------------------------------------------------

    @property
    def promised(self) -> float:
        """What the feasible minimizer promises for its step; infinite before it is at work."""
        return math.inf if self._feasible is None else self._feasible.promised

    @property
    def plain(self) -> LBFGSB | LeastSquares:
        """The minimizer with which it begins."""
        return self._plain

    @property
    def handed_over(self) -> bool:
        """Whether the feasible minimizer is at work."""
        return self._feasible is not None

    @property
    def _seeded(self) -> int:
        """How many evaluations the feasible minimizer counts that were told before."""
        return int(self._feasible is not None and not self._plain.at_start)

    @property
    def n(self) -> int:
        """Number of variables."""
        return self._plain.n

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._now.done

    @property
    def stop(self) -> FeasibleStop | None:
        """Why the run ended, or None."""
        return _STOPS.get(self._plain.stop) if self._feasible is None else self._feasible.stop

    @property
    def converged(self) -> bool:
        """Whether the run ended because the test of optimality passed."""
        return self._feasible is not None and self._feasible.converged

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point."""
        return 0 if self._feasible is None else self._feasible.beside

    @property
    def nfev(self) -> int:
        """Evaluations told, failures included."""
        return self._sum("nfev") - self._seeded - self._skipped

    @property
    def nit(self) -> int:
        """Accepted steps."""
        return self._sum("nit")

    @property
    def nfail(self) -> int:
        """Failed evaluations."""
        return self._sum("nfail") - self._skipped

    def _sum(self, count: str) -> int:
        after = 0 if self._feasible is None else int(getattr(self._feasible, count))
        return int(getattr(self._plain, count)) + after

    @property
    def failures(self) -> int:
        """Failed evaluations in a row, now."""
        before = self._plain.failures - self._halved
        if self._feasible is None:
            return before
        only_failures = self._feasible.nfev - self._seeded == self._feasible.failures
        return self._feasible.failures + (before if only_failures else 0)

    @property
    def at_start(self) -> bool:
        """Whether no evaluation has succeeded yet."""
        return self._now.at_start

    @property
    def best(self) -> tuple[Vector, float, Vector] | None:
        """The best evaluated point with value and gradient, or None."""
        return self._now.best

    @property
    def fits(self) -> bool:
        """Whether residuals are told."""
        return self._fit is not None

    @property
    def m(self) -> int:
        """Number of residuals; 0 before the first were told, and where a value is."""
        return 0 if isinstance(self._now, LBFGSB) else self._now.m

    @property
    def iterate(self) -> tuple[Vector, Vector, Vector] | None:
        """Of a fit, the iterate, its residuals and their Jacobian; None before there is one."""
        return None if isinstance(self._now, LBFGSB) else self._now.iterate

    @property
    def factors(self) -> Factors | None:
        """Of a fit, what the covariance at the iterate is made of; None before there is one."""
        return None if isinstance(self._now, LBFGSB) else self._now.factors

    @property
    def first(self) -> tuple[float, float] | None:
        """The first value, and what f changes by there where each variable moves by its size."""
        return self._first if self._feasible is None else self._feasible.first

    def go_on_from(self, before: Handover) -> None:
        """Measure f as the minimizer did that comes `before` this one in its run."""
        if self._convergence_rule == 1 or before.first is None:
            return
        self._began = before._began
        self._first = before.first
        if self._feasible is not None or (self.fits and before.handed_over):
            start = self.ask()
            self._feasible = self._made(start, first=self._first, **self._limits)
        known = before._plain
        if isinstance(self._plain, LBFGSB) and isinstance(known, LBFGSB) and not known.at_start:
            plain.go_on_from(self._plain, known)

    @property
    def result(self) -> OptimizeResult:
        """The best point with its active constraints, multipliers and optimality residual.

        The fields are those of `FeasibleMinimizer.result`.
        """
        from optdriver.feasible.result import FeasibleResult  # SciPy's class takes long to import

        result = FeasibleResult()
        result.update(self.report())
        return result

    def report(self) -> dict[str, Any]:
        """Return the fields of `result`."""
        found = self._judged().report()
        found.update(nfev=self.nfev, njev=self.nfev, nit=self.nit, nfail=self.nfail)
        if self._feasible is None:
            found.update(stop=self.stop, success=False)
            found.update(status=self._status(), message=self._plain.message)
        return found

    def _status(self) -> int:
        stop = self._plain.stop
        return -1 if stop is None else stop.status

    def _judged(self) -> FeasibleMinimizer:
        """Return the feasible minimizer, or one that looks at what L-BFGS-B has so far."""
        if self._feasible is not None:
            return self._feasible
        if self._plain.at_start:
            known = (
                self._plain.state.vector("xt") if isinstance(self._plain, LBFGSB) else self._start
            )
            return self._made(known.copy())
        return self._successor(0, 0)

    # -- state as data --------------------------------------------------------------------------

    def copy(self) -> Handover:
        """Return an independent minimizer in the same state."""
        new = self.from_dict(self.to_dict(), self._constraints)
        return stored.hand_on(stored.own(self, Handover.__slots__), new)

    __copy__ = copy

    def to_dict(self) -> dict[str, Any]:
        """Return the state as numbers, strings and arrays, without the constraints."""
        after = None if self._feasible is None else self._feasible.to_dict(constraints=False)
        return {
            "version": VERSION,
            "limits": dict(self._limits),
            "plain": self._plain.to_dict(),
            "feasible": after,
            "skipped": self._skipped,
            "skipped_at": self._skipped_at,
            "rule": self._rule,
            "convergence_rule": self._convergence_rule,
            "first": None if self._first is None else list(self._first),
            "halved": self._halved,
            "began": None if self._began is None else self._began.copy(),
            "beside": self._beside,
            "precision": None if self._precision is None else asdict(self._precision),
            **self._fit_to_dict(),
        }

    @property
    def _fit_alone(self) -> dict[str, Any]:
        """The options of least squares within bounds, whose ends are looked at later."""
        return {**(self._fit or {}), "beside": False}

    def _fit_to_dict(self) -> dict[str, Any]:
        if self._fit is None:
            return {}
        return {"fit": dict(self._fit), "start": self._start.copy()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], constraints: ConstraintSet) -> Handover:
        """Make the minimizer of `to_dict` again; arrays may come as lists.

        Raises
        ------
        InputError
            When `data` is not a state of this version.
        """
        stored.check_version(data, VERSION)
        self = cls.__new__(cls)
        self._constraints = constraints
        try:
            limits = {"ftol": 0.0, **data["limits"]}  # 0.1.0 had none
            self._limits = {name: limits[name] for name in COMMON_OPTIONS}
            fit = data.get("fit")
            self._fit = None if fit is None else stored.mapping("fit", fit)
            if self._fit is None:
                self._plain = LBFGSB.from_dict(data["plain"])
            else:
                self._plain = LeastSquares.from_dict(data["plain"])
                low, high = self._plain.bounds
                self._start = stored.inside("start", data["start"], low, high)
            self._skipped, self._halved = int(data["skipped"]), bool(data["halved"])
            self._skipped_at = int(data.get("skipped_at", NEVER))
            self._rule = int(data.get("rule", 1))  # 0.1.0 had no other
            self._convergence_rule = int(data.get("convergence_rule", 1))
            first = data.get("first")
            self._first = None if first is None else (float(first[0]), float(first[1]))
            began = data.get("began")
            self._began = None if began is None else stored.array("began", began, (self.n,))
            self._beside = stored.whole("beside", int(data.get("beside", 0)), most=4)
            known = data.get("precision")
            self._precision = None if known is None else Precision.from_dict(known)
            after = data["feasible"]
        except (KeyError, TypeError) as error:
            raise InputError(f"the state is not complete: {error!r}") from error
        self._feasible = None if after is None else FeasibleMinimizer.from_dict(after, constraints)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Handover:
        return stored.hand_on_copied(stored.own(self, Handover.__slots__), self.copy(), self, memo)

    def __reduce__(self) -> tuple[Any, ...]:
        beside = stored.pickled_beside(self, Handover.__slots__)
        return type(self).from_dict, (self.to_dict(), self._constraints), beside
