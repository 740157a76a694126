"""`FeasibleMinimizer`: the local minimizer under nonlinear constraints, driven by ask and tell."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from optdriver.constraints import ConstraintSet
from optdriver.constraints.nearest import distance, nearest
from optdriver.constraints.restoration import TOLERANCE
from optdriver.constraints.specification import names_of
from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.feasible import convergence, machine
from optdriver.feasible.criticality import Criticality, measured, unknown
from optdriver.feasible.cusp import without_multipliers, without_vanishing
from optdriver.feasible.fits import Observed
from optdriver.feasible.naming import active_names, certified, forces
from optdriver.feasible.options import Fit, checked
from optdriver.feasible.region import Region, region
from optdriver.feasible.soundness import check_pending, read_state
from optdriver.feasible.state import RULE, VERSION, Phase, State, Stop
from optdriver.feasible.types import Constraints, Data, Vector
from optdriver.feasible.walls import between_walls
from optdriver.feasible.work import TooMuchWork
from optdriver.geometry.aside import moved, turns_as_rows
from optdriver.geometry.products import are_finite
from optdriver.lbfgsb.options import check_real
from optdriver.leastsquares.covariance import Factors, factors
from optdriver.leastsquares.losses import LINEAR
from optdriver.leastsquares.minimizer import read_jacobian, read_residuals
from optdriver.leastsquares.options import XTOL
from optdriver.numerics import is_numeric, quiet
from optdriver.reading import check_flag, real_array, real_number, real_vector, short
from optdriver.stored import Derived, array, hand_on, own, reduced, restoring, rows, text

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

MESSAGES = {
    Stop.OPTIMAL: "OPTIMAL: the first-order conditions hold to gtol",
    Stop.REDUCTION: "REDUCTION: the value changes by ftol at most, and the model promises no more",
    Stop.STALLED: "STALLED: no further decrease was found, the first-order conditions do not hold",
    Stop.MAX_EVALUATIONS: "STOP: the limit of evaluations is reached",
    Stop.MAX_ITERATIONS: "STOP: the limit of iterations is reached",
    Stop.FAILED: "FAILED: evaluations failed until the trust region was too small to go on",
    Stop.HALTED: "HALTED: stopped by the caller",
    Stop.UNBOUNDED: "UNBOUNDED: the objective falls without end within the constraints",
}
OF_FITS = {
    Stop.OPTIMAL: "OPTIMAL: the relative offset of the Gauss-Newton step is at most xtol",
    Stop.REDUCTION: "REDUCTION: no further decrease beyond rounding",
}
AT_CUSP = "OPTIMAL: no feasible direction reduces the value to first order"
LONG = 60  # Newton steps to a start that may be far away
MET_TO_ROUNDING = 5  # the rule from which on such a start is not looked for elsewhere
COMPACT = 6  # and that from which on few rows of some hundred variables are dense
OF_VALUES = Fit()
ACTIVE = 1e-8  # a scaled row closer to zero than this is active


class FeasibleMinimizer:
    """Minimise f(x) under constraints and bounds, asking feasible points only.

    Parameters
    ----------
    x0 : array_like, shape (n,)
        Start.  If it violates a constraint it is moved to the nearest feasible point found, and
        `notes` says how far.
    constraints : str, mapping, sequence of them, or ConstraintSet
        As `optdriver.constraints.ConstraintSet` takes them.
    bounds : sequence of pairs, array of shape (n, 2), scipy Bounds, or None
    names : sequence of str, optional
        Names of the variables in the constraints; ``x1`` to ``xn`` by default.
    fixed : mapping of str to float, optional
        Further names in the constraints, with their values.
    project_starts : bool
        False: a start that violates a constraint is an error.
    pairs : (S, Y), optional
        Correction pairs of another run, as its `pairs` gives them, to start with its curvature.
    first : (float, float), optional
        Of a run that goes on here, its first value and what f changes by there, to first order,
        where each variable is moved by its size: the unit of f follows from them.
    settled : bool
        The last step of that run changed f by no more than `ftol`.
    residuals : bool
        `tell` is told residuals and their Jacobian: a fit, which minimises
        ``1/2 sum(rho(r(x)^2))``.
    loss, f_scale, xtol
        Of a fit, as in `optdriver.LeastSquares`; `gtol` and `ftol` have no meaning there.
    began : array_like, shape (n,), optional
        Of a run that goes on here, where it began; `x0` by default.
    beside : bool
        Ask a point beside an end to which symmetry may have led, and go on from there if it is
        lower; False as in optdriver 0.6.0.
    value_spacing : float
        The relative spacing of the numbers in which values are computed, where that is coarser than
        Python's: a change that they cannot show is small, and slopes judge a step by it.
    rule : int
        10, or what an earlier version of optdriver recorded, from 1 on: see
        docs/reference/rules.md.
    **options
        See `Options`: gtol, ftol, maxfun, maxiter, maxcor, initial_radius, smallest_radius.

    Raises
    ------
    InputError
        Bad input; a violated start with ``project_starts=False``; or no feasible point was found
        (the message names the constraint that resists).

    Notes
    -----
    A quasi-Newton model of f alone is minimised in a trust region under the exact constraints
    (after Schmidt, van den Berg, Friedlander, Murphy, AISTATS 2009).  Every asked point satisfies
    c(x) <= 0 exactly in floating point, and equalities to 1e-10 of the size of their gradient.

    In a fit the model knows J'J, and learns of pairs only what that leaves
    (`optdriver.feasible.fits`).

    Examples
    --------
    >>> opt = FeasibleMinimizer([-1.2, 1.0], "x1 + x2 <= 1", residuals=True)
    >>> while not opt.done:
    ...     a, b = opt.ask()
    ...     opt.tell([10 * (b - a**2), 1 - a], [[-20 * a, 10], [-1, 0]])
    >>> opt.result.success, opt.result.x.round(6).tolist()
    (True, [0.618796, 0.381204])
    """

    _reported: tuple[State, dict[str, Any]] | None = None

    @quiet
    def __init__(
        self,
        x0: ArrayLike,
        constraints: Any = (),
        bounds: Any = None,
        *,
        names: Sequence[str] | None = None,
        fixed: Mapping[str, float] | None = None,
        project_starts: bool = True,
        pairs: tuple[ArrayLike, ArrayLike] | None = None,
        first: tuple[float, float] | None = None,
        settled: bool = False,
        residuals: bool = False,
        loss: str = LINEAR,
        f_scale: float = 1.0,
        xtol: float = XTOL,
        began: ArrayLike | None = None,
        beside: bool = True,
        value_spacing: float = 0.0,
        rule: int = RULE,
        **options: Any,
    ) -> None:
        settings = checked(options)
        fit = _fit(residuals, Fit(loss=loss, f_scale=f_scale, xtol=xtol), pairs)
        if type(rule) is not int or not 1 <= rule <= RULE:
            raise InputError(f"rule is a whole number from 1 to {RULE}, not {short(rule)}")
        if first is not None:
            real_vector("first", first, 2, "a value, and what f changes by")
        wanted = _start(x0)
        self._constraints = _by_rule(_compiled(constraints, bounds, names, fixed, wanted), rule)
        lower, upper = _box(self._constraints, bounds, len(wanted))
        reference = np.minimum(np.maximum(wanted, lower), upper)
        self._region = _region_of(self._constraints, (lower, upper), reference, rule)
        self.notes: tuple[str, ...] = ()
        strict = self._region.is_feasible(wanted)
        x = wanted if strict else self._feasible(wanted, project_starts, rule)
        self._state = machine.start(x, self._region, settings, rule, first, strict=strict)
        self._state.settled, self._state.fit = settled, fit
        check_real("value_spacing", value_spacing)
        self._state.spacing = float(value_spacing)
        if check_flag("beside", beside):
            whence = x if began is None else real_vector("began", began, len(x))
            self._state.began = whence.copy()
        self._reference = reference
        if pairs is not None:
            steps, changes = _pairs(pairs, len(x))
            machine.seed(self._state, self._region, steps, changes)

    def _feasible(self, wanted: Vector, project_starts: bool, rule: int) -> Vector:
        """Return the feasible point that the start is moved to."""
        if not project_starts:
            name, size = self.resisting(self._region.clip(wanted))
            raise InputError(
                f"the start violates {name!r} by {size:.3g} (scaled); give a feasible start, or "
                "let it be moved with project_starts=True"
            )
        known = self._constraints  # what is met to rounding there is met no better elsewhere
        met = isinstance(known, ConstraintSet) and known.is_feasible(wanted, slack=TOLERANCE)
        anywhere = not met or rule < MET_TO_ROUNDING
        try:
            moved = nearest(self._region, wanted, LONG, anywhere=anywhere)
        except TooMuchWork:
            raise InputError(f"no feasible point was found: {self._too_coarse()}") from None
        if not moved.feasible:
            name, size = self.resisting(self._region.clip(wanted))
            raise InputError(
                f"no feasible point was found; {name!r} resists: it is violated by {size:.3g} "
                "(scaled) at the start"
            )
        far = distance(self._region, moved.x, wanted)
        self.notes = (f"the start violated a constraint and was moved by {far:.3g} (weighted)",)
        return moved.x

    def resisting(self, x: ArrayLike) -> tuple[str, float]:
        """Return the name of the most violated constraint at `x`, and its scaled violation."""
        self._region.work.renew()
        c, e = self._region.values(np.asarray(x, dtype=float))
        rows = np.concatenate([self._region.inequalities, self._region.equalities])
        sizes = np.nan_to_num(np.concatenate([np.maximum(c, 0.0), np.abs(e)]), nan=np.inf)
        if not len(sizes):
            return "bounds", 0.0
        worst = int(np.argmax(sizes))
        return self._constraints.names[int(rows[worst])], float(sizes[worst])

    # -- asking and telling ---------------------------------------------------------------------

    def ask(self) -> Vector:
        """Return a copy of the pending point; the same one until it is told."""
        self._running("ask")
        return self._state.pending.copy()

    @quiet
    def tell(self, f: Any, g: ArrayLike) -> None:
        """Take value and gradient at the pending point; not finite counts as a failure.

        In a fit these are the residuals, shape (m,), and their Jacobian, shape (m, n).
        """
        self._running("tell")
        if self.fits:
            r = read_residuals(f, self.m)
            told = Observed(r=r, jacobian=read_jacobian(g, r.size, self.n))
            self._advance(lambda state, here: machine.take_residuals(state, here, told))
            return
        value = real_number("the value", f)
        gradient = real_vector("the gradient", g, self.n).copy()
        self._advance(lambda state, here: machine.take(state, here, value, gradient))

    @quiet
    def tell_failure(self, reason: str = "") -> None:
        """Take the news that the pending point could not be evaluated."""
        self._running("tell_failure")
        said = str(reason)
        self._advance(lambda state, here: machine.take_failure(state, here, said))

    def _advance(self, step: Callable[[State, Region], bool]) -> None:
        """Take a step; where its numbers do not allow one, the run ends and says why.

        It is made on a copy (a flat one: no array is changed in its place), which is put in place
        when it is complete, so that a call that is broken off changes nothing.
        """
        new = {**self.__dict__, "_state": copy.copy(self._state)}
        self._region.work.renew()
        try:
            if step(new["_state"], new["_region"]):
                self._go_on(new)
            machine.look_beside(new["_state"], new["_region"])
        except TooMuchWork:
            machine.finish(new["_state"], Stop.STALLED, self._too_coarse())
        except Exception as error:
            if not is_numeric(error):
                raise
            reason = f"numeric error: {type(error).__name__}: {error}"
            machine.finish(new["_state"], Stop.FAILED, reason)
        self.__dict__ = new

    def _too_coarse(self) -> str:
        """Return what to say of functions that were called so often for nothing."""
        noise = np.asarray(getattr(self._constraints, "noise", np.zeros(1)))
        worst = int(np.argmax(noise * self._region.row_scale)) if len(noise) else 0
        name = self._constraints.names[worst]
        return (
            f"too many calls of the constraints for one point; {name!r} is the coarsest: its "
            f"values are exact to {noise[worst]:.1g} only.  Compute it in 64 bits, or give its "
            "derivatives"
        )

    def _go_on(self, new: dict[str, Any]) -> None:
        """Find the next point, with the variables' sizes here where they have changed much."""
        state, before = new["_state"], new["_region"]
        if machine.outgrown(state, before):
            new["_reference"] = state.x.copy()
            box = before.lower, before.upper
            new["_region"] = _region_of(self._constraints, box, state.x, state.rule)
            machine.rescale(state, before, new["_region"])
        machine.go_on(state, new["_region"])

    def halt(self, reason: str = "") -> None:
        """Stop from outside."""
        self._running("halt")
        state = copy.copy(self._state)
        machine.finish(state, Stop.HALTED, reason)
        self._state = state

    def allow_for(self, noise: float) -> None:
        """Say by how much two values that are equal may differ: steps are not refused for it.

        It holds from the next evaluation on.
        """
        check_real("noise", noise)
        state = copy.copy(self._state)
        state.noise = float(noise)
        self._state = state

    @property
    def promised(self) -> float:
        """What the model promises for the pending step; infinite where the region cuts it short."""
        state = self._state
        if state.phase is not Phase.TRIAL or machine.is_cut_short(state, self._region):
            return math.inf
        return max(0.0, -state.predicted)

    def _running(self, call: str) -> None:
        if self.done:
            raise ProtocolError(
                f"{call}() after the run has ended ({self.stop}: {self._message()})"
            )

    # -- what is known --------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of variables."""
        return self._state.n

    @property
    def x0(self) -> Vector:
        """The feasible start."""
        return self._state.x0.copy()

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Both sides of the box, with the bounds that were written as constraints."""
        return self._region.lower.copy(), self._region.upper.copy()

    @property
    def constraints(self) -> Constraints:
        """The compiled constraints."""
        return self._constraints

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._state.phase is Phase.DONE

    @property
    def stop(self) -> Stop | None:
        """Why the run ended, or None."""
        return self._state.stop

    @property
    def converged(self) -> bool:
        """Whether the run ended because a test of convergence passed."""
        return self._state.stop in (Stop.OPTIMAL, Stop.REDUCTION)

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point."""
        state = self._state
        if state.phase is not Phase.BESIDE:
            return 0
        return moved(state.pending - state.end, state.turns)

    @property
    def nfev(self) -> int:
        """Evaluations told, failures included."""
        return self._state.nfev

    @property
    def nit(self) -> int:
        """Accepted steps."""
        return self._state.nit

    @property
    def nfail(self) -> int:
        """Failed evaluations."""
        return self._state.nfail

    @property
    def failures(self) -> int:
        """Failed evaluations in a row, now."""
        return self._state.failures

    @property
    def at_start(self) -> bool:
        """Whether no evaluation has succeeded yet."""
        return len(self._state.x) == 0

    @property
    def best(self) -> tuple[Vector, float, Vector] | None:
        """The best evaluated point with value and gradient, or None."""
        if self.at_start:
            return None
        return self._state.best_x.copy(), self._state.best_f, self._state.best_g.copy()

    @property
    def fits(self) -> bool:
        """Whether residuals are told."""
        return self._state.fit is not None

    @property
    def m(self) -> int:
        """Number of residuals; 0 before the first were told, and where a value is."""
        return 0 if self._state.r is None else self._state.r.size

    @property
    def iterate(self) -> tuple[Vector, Vector, Vector] | None:
        """Of a fit, the present iterate, its residuals and its Jacobian; None before there is one.

        After success it is the point that passed the test.
        """
        state = self._state
        if state.r is None or state.jacobian is None:
            return None
        return state.x.copy(), state.r.copy(), state.jacobian.copy()

    @property
    def factors(self) -> Factors | None:
        """Of a fit, what the covariance at the iterate is made of; None before there is one."""
        state = self._state
        if state.fit is None or state.r is None or state.jacobian is None:
            return None
        return factors(state.r, state.jacobian, state.fit.loss, state.fit.f_scale)

    @property
    def first(self) -> tuple[float, float] | None:
        """The first value, and what f changes by there where each variable moves by its size."""
        return None if self.at_start else (self._state.first_f, self._state.first_change)

    @property
    def pairs(self) -> tuple[Vector, Vector]:
        """The steps and gradient changes that are kept, oldest first, in x."""
        scale = self._region.scale
        return self._state.steps * scale, self._state.changes / scale

    @property
    def result(self) -> OptimizeResult:
        """The best point with its active constraints, multipliers and optimality residual.

        After success it is the point that passed the test.
        At a cusp, as at the end of ``y <= 1 - sqrt(x)``, there are no multipliers: `message` says
        so, the constraint is not among `multipliers`, and the bound has NaN.
        ``certified`` is False where an active constraint has a kink or is a union (``min(a, b) <=
        0``): the conditions hold for the branch that is active.

        Before any evaluation has succeeded ``fun`` and ``jac`` are NaN and ``x`` is the start.
        """
        from optdriver.feasible.result import FeasibleResult  # SciPy's class takes long to import

        result = FeasibleResult()
        result.update(self.report())
        return result

    def report(self) -> dict[str, Any]:
        """Return the fields of `result`; those of a run that has ended are found once."""
        state, known = self._state, self._reported
        if known is None or known[0] is not state:
            known = state, self._found()
            if self.done:
                self._reported = known
        found = known[1]
        arrays = {name: a.copy() for name, a in found.items() if isinstance(a, np.ndarray)}
        return {**found, **arrays, "multipliers": dict(found["multipliers"])}

    @quiet
    def _found(self) -> dict[str, Any]:
        x, f, g = self._answer()
        self._region.work.renew()
        known = math.isfinite(f)
        unit = convergence.unit_at(self._state, f)
        optimality = measured(self._region, x, g, unit) if known else unknown(self._region)
        if self._state.cusp:
            walls = self._state.rule >= machine.WITH_WALLS
            at = between_walls(self._region, x, g, unit) if walls else None
            optimality = at or without_multipliers(
                self._region, x, optimality, self._state.residual
            )
        elif self.converged:
            optimality = without_vanishing(self._region, x, optimality)
        active = self._active_rows(x)
        return {
            "x": x,
            "fun": f,
            "jac": g,
            "nfev": self.nfev,
            "njev": self.nfev,
            "nit": self.nit,
            "nfail": self.nfail,
            "status": _STATUS[self.stop] if self.stop else -1,
            "success": self.converged,
            "message": self._message(optimality),
            "stop": self.stop,
            "active": self._active(active, x),
            "certified": certified(self._constraints, active),
            **forces(self._constraints, optimality),
            "maxcv": max(self._region.violation(x)),
            "notes": self.notes,
            **self._of_fit(),
        }

    def _of_fit(self) -> dict[str, Any]:
        """Return what a result has besides where residuals are told: those of the iterate."""
        if not self.fits:
            return {}
        _, r, jacobian = self.iterate or (None, None, None)
        return {"residuals": r, "jacobian": jacobian}

    def _answer(self) -> tuple[Vector, float, Vector]:
        """Return the point that passed the test, else the best; their values may tie."""
        state = self._state
        if self.converged:
            return state.x.copy(), state.f, state.g.copy()
        return self.best or (self.x0, math.nan, np.full(self.n, math.nan))

    def _message(self, at: Criticality | None = None) -> str:
        known = MESSAGES | OF_FITS if self.fits else MESSAGES
        message = known[self.stop] if self.stop else "running"
        reason = self._state.reason
        if self._state.cusp:
            message = AT_CUSP
        if self.converged and at is not None and len(at.cusps):
            name = self._constraints.names[int(at.cusps[0])]
            return f"{message}, without multipliers: {name!r} has a cusp there"
        return f"{message}: {reason}" if reason and not self.converged else message

    def _active(self, rows: list[int], x: Vector) -> tuple[str, ...]:
        box, near = (self._region.lower, self._region.upper), ACTIVE * self._region.scale
        return active_names(self._constraints, rows, x, *box, near)

    def _active_rows(self, x: Vector) -> list[int]:
        c, _ = self._region.values(x)
        rows = [*self._region.inequalities[c >= -ACTIVE], *self._region.equalities]
        return sorted(int(row) for row in rows)

    # -- state as data --------------------------------------------------------------------------

    def copy(self) -> FeasibleMinimizer:
        """Return an independent minimizer in the same state.

        Arrays are shared, for none is changed in its place, and what a derived class has set
        besides.
        """
        made = object.__new__(type(self))
        made.__dict__.update(
            self.__dict__, _state=copy.copy(self._state), _region=self._region.apart()
        )
        added = own(self, _OURS)
        return made if added is None else hand_on((None, added[1]), made)

    __copy__ = copy

    def to_dict(self, *, constraints: bool = True) -> Data:
        """Return the state as numbers, strings and arrays; the constraints as they were written.

        With ``constraints=False`` they are left out, for whoever keeps them for many minimizers.
        """
        written = getattr(self._constraints, "to_dict", None)
        if constraints and written is None:
            raise InputError("constraints given as functions cannot be stored; give strings")
        data = asdict(self._state)  # copies the arrays
        data["phase"] = int(self._state.phase)
        data["turns"] = turns_as_rows(self._state.turns)
        data["stop"] = None if self._state.stop is None else str(self._state.stop)
        return {
            "version": VERSION,
            "constraints": written() if constraints and written is not None else None,
            "reference": self._reference.copy(),
            "notes": list(self.notes),
            "state": data,
        }

    @classmethod
    def from_dict(cls, data: Data, constraints: Constraints | None = None) -> FeasibleMinimizer:
        """Make the minimizer of `to_dict` again; arrays may come as lists.

        `constraints` are those that ``to_dict(constraints=False)`` left out.

        Raises
        ------
        InputError
            When `data` is not a state of this version.
        """
        version = data.get("version") if isinstance(data, dict) else None
        if version != VERSION:
            raise InputError(f"a state of version {VERSION} is expected, got {version!r}")
        with restoring("FeasibleMinimizer"):
            if constraints is None:
                constraints = ConstraintSet.from_dict(data["constraints"])
            return cls._restored(constraints, data)

    @classmethod
    def _restored(cls, constraints: Constraints, data: Data) -> FeasibleMinimizer:
        self = cls.__new__(cls)
        self._state = state = read_state(data["state"])
        self._constraints = constraints = _by_rule(constraints, state.rule)
        n = getattr(constraints, "n", state.n)
        if n != state.n:
            raise ValueError(f"{state.n} variables, and constraints on {n}")
        self._reference = array("reference", data["reference"], (n,), finite=True)
        box = state.lower, state.upper
        self._region = _region_of(constraints, box, self._reference, state.rule)
        check_pending(state, self._region)
        self.notes = tuple(text("notes", note) for note in rows("notes", data["notes"]))
        return self

    def __getstate__(self) -> Data:
        state = {f.name: getattr(self._state, f.name) for f in fields(State)}
        return {
            "constraints": self._constraints,
            "reference": self._reference,
            "notes": self.notes,
            "state": {**state, "turns": turns_as_rows(self._state.turns)},
        }

    def __setstate__(self, data: Data | Derived) -> None:
        state, given = data if isinstance(data, Derived) else (data, None)
        self.__dict__ = self._restored(state["constraints"], state).__dict__
        hand_on(given, self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        return reduced(self, FeasibleMinimizer, _OURS) or super().__reduce_ex__(protocol)


_OURS = ("_constraints", "_reference", "_region", "_reported", "_state", "notes")
"""The attributes of a `FeasibleMinimizer`; what else is set on an object is its own."""


_STATUS = {
    Stop.OPTIMAL: 0,
    Stop.REDUCTION: 0,
    Stop.MAX_EVALUATIONS: 1,
    Stop.MAX_ITERATIONS: 1,
    Stop.STALLED: 2,
    Stop.FAILED: 3,
    Stop.HALTED: 99,
    Stop.UNBOUNDED: 4,
}


def _start(x0: ArrayLike) -> Vector:
    x = np.array(real_array("x0", x0))
    if x.ndim != 1 or not len(x) or not are_finite(x):
        raise InputError(f"x0 must be one or more finite numbers in one row, got {x0!r}")
    return x


def _pairs(pairs: tuple[ArrayLike, ArrayLike], n: int) -> tuple[Vector, Vector]:
    if not isinstance(pairs, tuple | list) or len(pairs) != 2:
        raise InputTypeError(f"pairs are (steps, changes) of another run, not {short(pairs)}")
    steps, changes = (real_array("pairs", side) for side in pairs)
    if steps.shape != changes.shape or steps.ndim != 2 or steps.shape[1] != n:
        raise InputError(
            f"pairs have the shapes {steps.shape} and {changes.shape}; (k, {n}) twice is expected"
        )
    return steps, changes


def _fit(residuals: bool, given: Fit, pairs: Any) -> Fit | None:
    """Return how residuals are told, None where a value is."""
    check_flag("residuals", residuals)
    if residuals and pairs is not None:
        raise InputError("pairs are those of a value: a fit begins without them")
    if not residuals and given != OF_VALUES:
        raise InputError("loss, f_scale and xtol are for residuals: give residuals=True")
    return given if residuals else None


def _compiled(
    constraints: Any,
    bounds: Any,
    names: Sequence[str] | None,
    fixed: Mapping[str, float] | None,
    x0: Vector,
) -> Constraints:
    """Return constraints that are compiled already as they are, others as a ConstraintSet."""
    if hasattr(constraints, "values") and hasattr(constraints, "hessian"):
        compiled: Constraints = constraints
        return compiled
    known = names_of(len(x0), names)
    made: Constraints = ConstraintSet(constraints, known, bounds, fixed=fixed, reference=x0)
    return made


def _region_of(
    constraints: Constraints, box: tuple[Vector, Vector], reference: Vector, rule: int
) -> Region:
    """Return the feasible set as runs of this rule see it."""
    return region(constraints, *box, reference, narrow=rule > 1, compact=rule >= COMPACT)


def _by_rule(constraints: Constraints, rule: int) -> Constraints:
    """Return the rows as runs of this rule know them."""
    return constraints.by_rule(rule) if isinstance(constraints, ConstraintSet) else constraints


def _box(constraints: Constraints, bounds: Any, n: int) -> tuple[Vector, Vector]:
    """Return the sides: those of the constraints, which know bounds in disguise, or the given."""
    lower, upper = getattr(constraints, "lower", None), getattr(constraints, "upper", None)
    if lower is None or upper is None:
        pairs = np.array(
            [[-math.inf, math.inf]] * n if bounds is None else bounds, dtype=float
        ).reshape(n, 2)
        lower, upper = pairs.T
    lower, upper = np.array(lower, dtype=float), np.array(upper, dtype=float)
    if lower.shape != (n,) or upper.shape != (n,):
        raise InputError(f"x0 has {n} variables, the constraints have {len(lower)}")
    if (lower > upper).any():
        worst = int(np.argmax(lower - upper))
        raise InputError(f"variable {worst}: lower side {lower[worst]} > upper {upper[worst]}")
    return lower, upper
