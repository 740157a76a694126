"""`SQP`: constraints whose values are told with the objective, asked for points and told them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints import ConstraintSet
from optdriver.errors import ConstraintError, InputError, InputTypeError
from optdriver.feasible.region import sizes
from optdriver.lbfgsb.options import check_real, read_bounds, read_point
from optdriver.numerics import quiet
from optdriver.sqp import conditions, machine
from optdriver.sqp import state as states
from optdriver.sqp.options import SQPOptions, check_rows
from optdriver.sqp.state import State, Stop
from optdriver.sqp.told import read_slopes, read_values, violation
from optdriver.stepping import Machine, Stepping

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Vector = NDArray[np.float64]


class SQP(Stepping[State]):
    """Minimise under constraints that only an evaluation can tell, driven by ask and tell.

    Minimises f(x) subject to ``c(x) <= 0``, ``e(x) = 0`` and bounds, where f, c and e and their
    gradients come from one evaluation: the outputs of a simulation.  Such limits cannot be kept
    before it has run; they are satisfied at the end.  Constraints that are known as formulas are
    given besides, and no point that violates one is ever asked.

    Parameters
    ----------
    x0 : (n,) array_like
        The start; moved into the bounds, and onto the set of `constraints`, if it lies outside.
    bounds : None, sequence of pairs, (n, 2) array or scipy.optimize.Bounds, optional
        Lower and upper bounds; None or an infinity where there is none.  No point outside is ever
        asked.
    inequalities, equalities : int
        How many c and how many e are told.
    constraints : ConstraintSet, optional
        Formulas, over the same variables, that every asked point satisfies.
    gtol : float
        Converged when what is left of the first-order conditions is at most this: by what part of
        itself f could still change, to first order, were the variables moved by their sizes.  Where
        f ends near 0 it is measured by 1, and by less where its value at the start was small.
    feasibility : float
        A told row counts as satisfied when it is violated by no more than this part of what it
        changes by, to first order, where the variables are moved by their sizes.
    rule : {4, 3, 2, 1}
        The default, or what an earlier version of optdriver recorded: see docs/reference/rules.md.
    maxfun, maxiter : int or math.inf
        Hard limits of evaluations and iterations.

    Raises
    ------
    InputError
        If something given cannot be used.
    ConstraintError
        If no start is found that satisfies `constraints`.

    Notes
    -----
    The method is sequential quadratic programming in a trust region
    (`optdriver.sqp.machine`).  On the problems of Hock and Schittkowski it is compared with SLSQP
    by ``python -m benchmarks outputs``.

    The object can be pickled, copied or turned into a dict between any two calls, and what comes
    back goes on in the same way, to the bit where NumPy's linear algebra is the same.  A failed
    evaluation (`tell_failure`, or a number that is not finite) makes the next step a quarter as
    long; a failed start is asked once more.

    Examples
    --------
    A bar as light as possible, whose stress, known from a simulation, is at most 250:

    >>> opt = SQP([2.0, 2.0], bounds=[(0.1, 10), (0.1, 10)], inequalities=1)
    >>> while not opt.done:
    ...     a, b = opt.ask()
    ...     mass, stress = a * b, 1000 / (a * b**2)
    ...     opt.tell(
    ...         [mass, stress - 250],
    ...         [[b, a], [-stress / a, -2 * stress / b]],
    ...     )
    >>> opt.result.success, opt.result.x.round(4).tolist()
    (True, [0.1, 6.3246])
    """

    __slots__ = ("_formulas",)
    _ours = (*Stepping._ours, "_formulas")  # noqa: SLF001  # our own class

    _machine: ClassVar[Machine] = machine

    def __init__(
        self,
        x0: Any,
        bounds: Any = None,
        *,
        inequalities: int = 0,
        equalities: int = 0,
        constraints: ConstraintSet | None = None,
        gtol: float = SQPOptions().gtol,
        feasibility: float = SQPOptions().feasibility,
        rule: int = SQPOptions().rule,
        maxfun: float = math.inf,
        maxiter: float = math.inf,
    ) -> None:
        options = SQPOptions(
            gtol=gtol, feasibility=feasibility, rule=rule, maxfun=maxfun, maxiter=maxiter
        )
        check_rows("inequalities", inequalities)
        check_rows("equalities", equalities)
        start = read_point(x0)
        lower, upper = read_bounds(bounds, start.size)
        self._formulas = _formulas(constraints, start.size)
        if self._formulas is not None:
            lower = np.maximum(lower, self._formulas.lower)
            upper = np.minimum(upper, self._formulas.upper)
        start = np.minimum(np.maximum(start, lower), upper)
        if self._formulas is not None and not self._formulas.is_feasible(start):
            start = _moved(self._formulas, start)
        n, rows = start.size, inequalities + equalities + self._others
        self._now = State(
            options=options,
            lower=lower,
            upper=upper,
            scale=sizes(start, lower, upper),
            steps=np.zeros((0, n)),
            slopes=np.zeros((0, n)),
            bends=np.zeros((0, rows, n)),
            pending=start,
            inequalities=int(inequalities),
            equalities=int(equalities),
        )

    @property
    def _others(self) -> int:
        """How many rows are formulas."""
        return 0 if self._formulas is None else len(self._formulas)

    # -- asking and telling -----------------------------------------------------------------------

    @quiet
    def tell(self, values: Any, jacobian: Any) -> None:
        """Tell what was evaluated at the pending point.

        What is not finite, in either, is a failed evaluation.

        Parameters
        ----------
        values : (1 + p + q,) array_like
            The objective, then the inequalities ``c <= 0``, then the equalities ``e = 0``.
        jacobian : (1 + p + q, n) array_like
            Their gradients, a row each.

        Raises
        ------
        ProtocolError
            If the run has ended.
        InputError
            If these are no such arrays; nothing is changed.
        """
        self._running("tell")
        numbers = np.array(read_values(values, 1 + self._now.m))
        slopes = np.array(read_slopes(jacobian, 1 + self._now.m, self.n))
        if np.isfinite(numbers).all() and np.isfinite(slopes).all():
            self._advance(lambda state: machine.advance(state, numbers, slopes, self._formulas))
        else:
            why = "a value or a derivative is not finite"
            self._advance(lambda state: self._failed(state, why))

    def allow_for(self, noise: float) -> None:
        """Say by how much two values of f that are equal may differ: steps are not refused for it.

        It holds from the next evaluation on.
        """
        check_real("noise", noise)
        self._now = replace(self._now, noise=float(noise))

    @property
    def promised(self) -> float:
        """What the model promises for the pending step; infinite where the radius cuts it short."""
        state = self._now
        if state.d is None or machine.is_cut_short(state):
            return math.inf
        return max(0.0, state.promised)

    def _failed(self, state: State, reason: str) -> None:
        machine.advance_failure(state, reason, self._formulas)

    # -- how it stands ----------------------------------------------------------------------------

    @property
    def stop(self) -> Stop | None:
        """Why the run has ended; None while it goes on."""
        return self._now.stop

    @property
    def best(self) -> tuple[Vector, float, Vector] | None:
        """The best point evaluated, its value and its gradient; None before there is one.

        It is the feasible point of the least value, or, where there is none, the one whose largest
        violation is least: see `violation`.  At the end of a run that converged it is the point
        that passed the test.
        """
        found = self._best()
        return None if found is None else (found[0], float(found[1][0]), found[2][0].copy())

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point."""
        return self._now.aside.moved(self._now.pending)

    def _best(self) -> tuple[Vector, Vector, Vector] | None:
        state = self._now
        at = (state.best_x, state.best_values, state.best_jacobian)
        if self.converged:
            at = (state.x, state.values, state.jacobian)
        x, values, jacobian = at
        if x is None or values is None or jacobian is None:
            return None
        return x.copy(), values, jacobian

    @property
    @quiet
    def violation(self) -> float:
        """By how much the told rows are violated at `best`, scaled; infinite before there is one.

        The unit is that of `feasibility`.
        """
        found = self._best()
        return math.inf if found is None else machine.worst(self._now, *found[1:])

    @property
    def m(self) -> int:
        """How many rows are told."""
        return self._now.m

    @property
    def rows(self) -> tuple[int, int]:
        """How many inequalities are told, and how many equalities."""
        return self._now.inequalities, self._now.equalities

    @property
    def feasible(self) -> bool:
        """Whether the told rows are satisfied at `best`, to the tolerance."""
        return self.violation <= self._now.options.feasibility

    @quiet
    def worst(self, values: Vector, jacobian: Vector | None = None) -> float:
        """Return by how much the told rows are violated at a point, in the unit of `feasibility`.

        Without a Jacobian they are measured by that of the iterate; before there is one a row that
        is violated at all is so without measure.
        """
        state = self._now
        known = state.jacobian if jacobian is None else jacobian
        return violation(values, known, state.scale, state.inequalities)

    @property
    def iterate(self) -> tuple[Vector, Vector, Vector] | None:
        """The present iterate, what was told there, and the Jacobian; None before there is one."""
        state = self._now
        if state.x is None or state.values is None or state.jacobian is None:
            return None
        return state.x.copy(), state.values.copy(), state.jacobian.copy()

    @quiet
    def conditions(self, names: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return what is active at the iterate, and its force: see `optdriver.sqp.conditions`.

        `names` are those of the told rows; without them they are numbered.
        """
        known = list(names) or [f"row {k + 1}" for k in range(self.m)]
        return conditions.of(self._now, self._formulas, known)

    @property
    @quiet
    def multipliers(self) -> Vector:
        """Of the told rows, by which f falls for each unit a row gives way; NaN before any."""
        state = self._now
        if state.multipliers is None or state.row_scale is None:
            return np.full(state.m, math.nan)
        made: Vector = state.multipliers[: state.m] * state.row_scale
        return made

    @property
    @quiet
    def result(self) -> OptimizeResult:
        """The best point and how the run stands.

        Returns
        -------
        scipy.optimize.OptimizeResult
            x, fun, jac (the gradient of f), nfev, njev, nit, status, success, message, stop, nfail;
            ``values`` and ``jacobian`` as they were told there, ``maxcv`` (`violation`) and
            ``multipliers``.
        """
        found = self._best()
        return self._result(
            self.best,
            values=found[1].copy() if found else None,
            jacobian=found[2].copy() if found else None,
            maxcv=self.violation,
            multipliers=self.multipliers,
        )

    # -- state as data ----------------------------------------------------------------------------

    def _apart(self) -> Self:
        return self._with(self._now.copy(), self._formulas)

    @classmethod
    def _with(cls, state: State, formulas: ConstraintSet | None) -> Self:
        new = cls.__new__(cls)
        new._now, new._formulas = state, formulas  # noqa: SLF001  # our own class
        return new

    def to_dict(self, *, constraints: bool = True) -> dict[str, Any]:
        """Return the whole state: a version, numbers, strings and arrays, and the formulas.

        Without the `constraints` they are kept elsewhere, and `from_dict` is given them.
        """
        formulas = self._formulas if constraints else None
        known = None if formulas is None else formulas.to_dict()
        return states.to_dict(self._now) | {"constraints": known}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], constraints: ConstraintSet | None = None) -> SQP:
        """Rebuild a minimizer from `to_dict`; arrays may have become lists on the way.

        Raises
        ------
        InputError
            If the dict is not one of `to_dict`, or of a later version.
        """
        given = data.get("constraints") if isinstance(data, Mapping) else None
        formulas = constraints if given is None else ConstraintSet.from_dict(given)
        return cls._with(states.from_dict(data, 0 if formulas is None else len(formulas)), formulas)

    def __repr__(self) -> str:
        state, best = self._now, self.best
        value = math.inf if best is None else best[1]
        return (
            f"<SQP n={self.n} rows={state.m} nit={state.nit} nfev={state.nfev} best={value:.6g} "
            f"violation={self.violation:.2g} {'running' if state.stop is None else state.stop}>"
        )


def _formulas(given: Any, n: int) -> ConstraintSet | None:
    if given is None:
        return None
    if not isinstance(given, ConstraintSet):
        raise InputTypeError(f"constraints is a ConstraintSet, not {given!r:.80}")
    if given.n != n:
        raise InputError(f"the constraints are over {given.n} variables, and x0 has {n}")
    return given


def _moved(formulas: ConstraintSet, start: Vector) -> Vector:
    made = formulas.nearest(start)
    if not (made.feasible and formulas.is_feasible(made.x)):
        raise ConstraintError(
            f"no point near x0 was found that satisfies the constraints: {made.resisting!r} resists"
        )
    return np.asarray(made.x)
