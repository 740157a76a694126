"""`LeastSquares`: residuals in a box, asked for points and told what is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, ProtocolError
from optdriver.lbfgsb.options import read_bounds, read_point
from optdriver.leastsquares import losses, machine
from optdriver.leastsquares import state as states
from optdriver.leastsquares.covariance import Factors, factors
from optdriver.leastsquares.options import LeastSquaresOptions
from optdriver.leastsquares.state import State, Stop
from optdriver.numerics import quiet
from optdriver.reading import real_array
from optdriver.stepping import Machine, Stepping

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Vector = NDArray[np.float64]


class LeastSquares(Stepping[State]):
    """Nonlinear least squares within bounds, driven by ask and tell.

    Minimises ``1/2 sum(rho(r(x)^2))`` over a box by a Levenberg-Marquardt method in a trust region.

    Parameters
    ----------
    x0 : (n,) array_like
        The start; moved into the bounds if it lies outside.
    bounds : None, sequence of pairs, (n, 2) array or scipy.optimize.Bounds, optional
        Lower and upper bounds; None or an infinity where there is none.  ``lower == upper`` fixes
        a variable.  No point outside is ever asked.
    loss : {'linear', 'soft_l1', 'huber', 'cauchy', 'arctan'}
        What a residual costs, as in `scipy.optimize.least_squares`.
    f_scale : float
        The size of a residual from which on it counts as an outlier; without effect on 'linear'.
    xtol : float
        Converged when the Gauss-Newton step would lower the value by the part ``xtol**2`` or less:
        the relative offset of Bates and Watts (Technometrics 23 (1981) 179), which does not depend
        on the units of the parameters and the residuals.
    secant : {3, 2, 1, 0}
        Learn of trials what the Jacobian alone leaves of the Hessian, which decides where residuals
        stay large; 0, or False: never.  True is 3.  1 and 2 as earlier versions did: see
        docs/reference/rules.md.
    beside : {2, 1, 0}
        Ask points beside an end to which symmetry may have led (two peaks that begin at one place,
        say), and go on from there if one is lower; 1: one in a single direction; 0, or False: none.
        True is 2.
    rounded : {1, 0}
        Learn of trials to how many digits residuals are printed, and end where these allow
        (`optdriver.leastsquares.rounding`); 0, or False: take them for exact.
    maxfun, maxiter : int or math.inf
        Hard limits of evaluations and iterations.

    Raises
    ------
    InputError
        If something given cannot be used.

    Notes
    -----
    The method is More's (1978), with the bounds as part of the problem that each step solves
    (bounded least squares), a correction of steps for the curvature of the residuals that comes
    from evaluations made anyway, a structured secant method where residuals stay so large that the
    Gauss-Newton model is wrong (`optdriver.leastsquares.rest`), and an end at the last digits
    (`optdriver.leastsquares.machine`).  A step whose evaluation fails is tried again a quarter as
    long; a failed start is asked once more.

    The object can be pickled, copied or turned into a dict between any two calls, and what comes
    back goes on in the same way, to the bit where NumPy's linear algebra is the same.

    Examples
    --------
    >>> opt = LeastSquares([-1.2, 1.0], bounds=[(-2, 2), (None, 0.5)])
    >>> while not opt.done:
    ...     a, b = opt.ask()
    ...     opt.tell([10 * (b - a**2), 1 - a], [[-20 * a, 10], [-1, 0]])
    >>> opt.result.success, opt.result.x.round(6).tolist()
    (True, [0.70856, 0.5])
    """

    __slots__ = ()

    _machine: ClassVar[Machine] = machine

    def __init__(
        self,
        x0: Any,
        bounds: Any = None,
        *,
        loss: str = "linear",
        f_scale: float = 1.0,
        xtol: float = LeastSquaresOptions().xtol,
        secant: bool | int = 3,
        beside: bool | int = 2,
        rounded: bool | int = 1,
        maxfun: float = math.inf,
        maxiter: float = math.inf,
    ) -> None:
        options = LeastSquaresOptions(
            loss=loss,
            f_scale=f_scale,
            xtol=xtol,
            secant=secant,
            beside=beside,
            rounded=rounded,
            maxfun=maxfun,
            maxiter=maxiter,
        )
        start = read_point(x0)
        lower, upper = read_bounds(bounds, start.size)
        start = np.minimum(np.maximum(start, lower), upper)
        none = np.zeros((0, start.size))
        self._now = State(
            options=options, lower=lower, upper=upper, pending=start, steps=none, changes=none
        )

    # -- asking and telling -----------------------------------------------------------------------

    @quiet
    def tell(self, residuals: Any, jacobian: Any) -> None:
        """Tell the residuals at the pending point, and their derivatives.

        What is not finite, in either, is a failed evaluation.

        Parameters
        ----------
        residuals : (m,) array_like
            As many as the first time.
        jacobian : (m, n) array_like
            The derivative of each residual by each variable.

        Raises
        ------
        ProtocolError
            If the run has ended.
        InputError
            If these are no such arrays; nothing is changed.
        """
        self._running("tell")
        r = read_residuals(residuals, self.m)
        made = read_jacobian(jacobian, r.size, self.n)
        if np.isfinite(r).all() and np.isfinite(made).all():
            self._advance(lambda state: machine.advance(state, r, made))
        else:
            why = "a residual or a derivative is not finite"
            self._advance(lambda state: self._failed(state, why))

    def _failed(self, state: State, reason: str) -> None:
        machine.advance_failure(state, reason)

    # -- how it stands ----------------------------------------------------------------------------

    @property
    def m(self) -> int:
        """Number of residuals; 0 before the first were told."""
        return 0 if self._now.r is None else self._now.r.size

    @property
    def beside(self) -> int:
        """By how many variables the pending point lies beside an end; 0 if it is no such point."""
        return self._now.aside.moved(self._now.pending)

    @property
    def noise(self) -> float:
        """The standard deviation of the rounding errors of a residual; 0 where none have shown."""
        return self._now.noise

    def allow_for_rounding(self, noise: float) -> None:
        """Say what the standard deviation of the rounding errors of a residual is."""
        if self._now.options.rounded:
            self._now.noise = float(noise)

    @property
    def stop(self) -> Stop | None:
        """Why the run has ended; None while it goes on."""
        return self._now.stop

    @property
    def best(self) -> tuple[Vector, float, Vector] | None:
        """The best point evaluated, its value and its gradient; None before there is one.

        At the end of a run that converged it is the point that passed the test: rounding may have
        given another one a value that is lower by its last digits.
        """
        state = self._now
        if state.best_x is None or state.best_g is None:
            return None
        if self.converged and state.x is not None:
            return state.x.copy(), state.f, self._gradient(state)
        return state.best_x.copy(), state.best_f, state.best_g.copy()

    def _gradient(self, state: State) -> Vector:
        if state.r is None or state.jacobian is None:
            raise ProtocolError("there is no iterate")
        options = state.options
        return losses.gradient(state.r, state.jacobian, options.loss, options.f_scale)

    @property
    def iterate(self) -> tuple[Vector, Vector, Vector] | None:
        """The present iterate, its residuals and its Jacobian; None before there is one."""
        state = self._now
        if state.x is None or state.r is None or state.jacobian is None:
            return None
        return state.x.copy(), state.r.copy(), state.jacobian.copy()

    @property
    def factors(self) -> Factors | None:
        """What the covariance at the iterate is made of; None before there is one."""
        state = self._now
        if state.r is None or state.jacobian is None:
            return None
        return factors(state.r, state.jacobian, state.options.loss, state.options.f_scale)

    @property
    def result(self) -> OptimizeResult:
        """The best point and how the run stands.

        Returns
        -------
        scipy.optimize.OptimizeResult
            x, fun (the value), jac (its gradient), nfev, njev, nit, status, success, message,
            stop, nfail; and ``residuals`` and ``jacobian``, of the iterate.
        """
        state = self._now
        return self._result(
            self.best,
            residuals=None if state.r is None else state.r.copy(),
            jacobian=None if state.jacobian is None else state.jacobian.copy(),
        )

    # -- state as data ----------------------------------------------------------------------------

    def _apart(self) -> Self:
        new = type(self).__new__(type(self))
        new._now = self._now.copy()  # noqa: SLF001  # our own class
        return new

    def to_dict(self) -> dict[str, Any]:
        """Return the whole state: a version, numbers, strings and arrays; nothing else."""
        return states.to_dict(self._now)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LeastSquares:
        """Rebuild a minimizer from `to_dict`; arrays may have become lists on the way.

        Raises
        ------
        InputError
            If the dict is not one of `to_dict`, or of a later version.
        """
        new = cls.__new__(cls)
        new._now = states.from_dict(data)  # noqa: SLF001  # the same
        return new

    def __repr__(self) -> str:
        state = self._now
        return (
            f"<LeastSquares n={self.n} m={self.m} nit={state.nit} nfev={state.nfev} "
            f"best={state.best_f:.6g} {'running' if state.stop is None else state.stop}>"
        )


def read_residuals(given: Any, m: int = 0) -> Vector:
    """Return residuals as a fresh vector; there were `m` of them before, if this is not 0.

    Raises
    ------
    InputError
        They are no real numbers, none, or another number of them than before.
    """
    r = real_array("the residuals", given)
    if r.ndim == 0:
        raise InputError(
            f"the residuals must be a vector, and one number was given ({r}): a single residual is "
            "[r]; a value that is to be minimised itself is for another driver, as 'L-BFGS-B'"
        )
    if r.ndim != 1:
        raise InputError(f"the residuals have shape {r.shape}; expected (m,): a vector")
    if r.size == 0:
        raise InputError("the residuals are empty; expected one number at least")
    if m and r.size != m:
        raise InputError(
            f"there are {r.size} residuals, and there were {m} before: their number must not "
            "change; where one cannot be computed, report a failure"
        )
    return np.array(r)


def read_jacobian(given: Any, m: int, n: int) -> Vector:
    """Return the derivatives of `m` residuals by `n` variables as a fresh array.

    Raises
    ------
    InputError
        They are no real numbers, or of another shape.
    """
    made = real_array("the Jacobian", given)
    if made.shape != (m, n) and not (made.size == m * n and (made.ndim == 1 or made.size == 0)):
        swapped = ": is it transposed?" if made.shape == (n, m) else ""
        raise InputError(
            f"the Jacobian has shape {made.shape}; expected ({m}, {n}), a row for each residual "
            f"and a column for each variable{swapped}"
        )
    if made.ndim == 1 and min(m, n) > 1:
        raise InputError(f"the Jacobian has shape {made.shape}; expected ({m}, {n})")
    return np.array(made).reshape(m, n)
