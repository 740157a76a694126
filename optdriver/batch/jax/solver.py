"""L-BFGS-B as a solver of JAX: `init`, `update`, `run`; pure, for `jit`, `vmap` and `grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

from optdriver.batch.jax import bounds as boxes
from optdriver.batch.jax.implicit import Solve, follow, value_along
from optdriver.batch.jax.options import DeviceOptions
from optdriver.batch.jax.state import Lane, pick, start
from optdriver.batch.jax.step import ROUNDING, step
from optdriver.errors import InputError, InputTypeError
from optdriver.lbfgsb.codes import DONE, PROJECTED_GRADIENT, REDUCTION, Stop


class State(NamedTuple):
    """A run that goes on, or has ended.

    Attributes
    ----------
    x : pytree
        The point to be evaluated next; the best one evaluated at the end.
    aux : pytree
        What came with the best value so far; None without ``has_aux``.
    lane : Lane
        Everything else, as flat arrays: among others ``phase`` (2 at the end), ``stop``,
        ``nfev``, ``nit``, ``best_f``.
    """

    x: Any
    aux: Any
    lane: Lane

    @property
    def done(self) -> Array:
        """Whether the run has ended."""
        return self.lane.phase == DONE


class Result(NamedTuple):
    """How a run ended: the best point evaluated.

    Attributes
    ----------
    x : pytree
        The point.
    fun : scalar
        Its value; infinite if no evaluation succeeded.
    jac : pytree
        Its gradient.
    nfev, nit : int
        Evaluations, failed ones included, and iterations.
    stop : int
        Why it ended: a number of `Stop`, or 8; `message` tells what it means.
    success : bool
        Whether the point passes a convergence test.
    aux : pytree
        What came with the value; None without ``has_aux``.
    """

    x: Any
    fun: Array
    jac: Any
    nfev: Array
    nit: Array
    stop: Array
    success: Array
    aux: Any


class LBFGSB:
    """Bound-constrained limited-memory quasi-Newton minimizer, as pure functions of JAX.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> scalar``, traceable by JAX.
    value_and_grad : bool, optional
        True if `fun` returns ``(value, gradient)``.
    has_aux : bool, optional
        True if the value comes as ``(value, aux)``.
    implicit_diff : bool, optional
        Whether ``x`` and ``fun`` of `run` have derivatives by the bounds and `args`.
    implicit_solve : callable, optional
        ``solve(matvec, b)`` for the symmetric system of the implicit derivatives.  By default the
        matrix is made up to 256 variables, and conjugate gradients are used above.
    straight : bool, optional
        True for code without inner loops, for devices that are slow at those.  By default
        everywhere but on CPUs.
    **options
        maxcor, ftol, gtol, maxfun, maxiter, maxls, initial_step, noise, cautious: as in
        `optdriver.LBFGSB`, with its defaults in float64; in float32 the test of the reduction of f
        is off, gtol is 1e-3, maxfun 2000.  With `cautious` the unit of f is learnt, a small
        reduction has to be followed by another, and no end is a success where f plainly falls; the
        memory is not dropped for a doubt, and nothing is evaluated beside an end: a success may be
        a saddle to which symmetry has led, or the floor of a narrow valley.

    Notes
    -----
    The algorithm is that of `optdriver.LBFGSB`, and from the same start it takes the same path to
    rounding.  Precision is that of the start, under JAX's rules: float64 needs
    ``jax.enable_x64(True)``.

    In float32 one more ending counts as success: no lower value is found, nor without memory, and
    the decrease that the model had promised is below the rounding of f.

    References
    ----------
    Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995) 1190; Morales and Nocedal, ACM TOMS
    38 (2011) 7:1; Moré and Thuente, ACM TOMS 20 (1994) 286.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from optdriver.batch.jax import LBFGSB, Bounds
    >>> solver = LBFGSB(lambda x, a: jnp.sum((x - a) ** 2))
    >>> result = solver.run(jnp.zeros(3), Bounds(0.0, 1.0), jnp.array([-1.0, 0.5, 2.0]))
    >>> print(result.x)
    [0.  0.5 1. ]
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        *,
        value_and_grad: bool = False,
        has_aux: bool = False,
        implicit_diff: bool = True,
        implicit_solve: Solve | None = None,
        straight: bool | None = None,
        **options: Any,
    ) -> None:
        if not callable(fun):
            raise InputTypeError(f"fun is {fun!r}; expected a function fun(x, *args) of JAX")
        self.fun = fun
        self.value_and_grad = value_and_grad
        self.has_aux = has_aux
        self.implicit_diff = implicit_diff
        self.implicit_solve = implicit_solve
        self.options = DeviceOptions.read(straight, options)

    def init(self, x0: Any, bounds: Any = None, *args: Any) -> State:
        """Return the state of a run that waits for the evaluation of its start.

        Parameters
        ----------
        x0 : pytree of real arrays
            The start; moved into the bounds if it lies outside.  One that is not finite fails.
        bounds : None, Bounds, (n, 2) array, sequence of pairs or scipy.optimize.Bounds, optional
            Infinite, or None in a pair, where there is none; ``lower == upper`` fixes a variable.
        *args
            As for `fun`; only their shapes are used, and only with ``has_aux``.

        Raises
        ------
        InputError
            If `x0` or `bounds` cannot be used.
        """
        flat, unravel = _ravel(x0)
        lower, upper = boxes.read(bounds, x0, flat)
        return self._begin(flat, unravel, lower, upper, args)

    def _begin(
        self, flat: Array, unravel: Callable[[Array], Any], lower: Array, upper: Array, args: Any
    ) -> State:
        lane = start(flat, lower, upper, self.options.settings(flat.dtype))
        x = unravel(lane.xt)
        aux = None
        if self.has_aux:
            shapes = jax.eval_shape(lambda x, args: self._evaluate(x, args)[2], x, args)
            aux = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        return State(x, aux, lane)

    def update(self, state: State, *args: Any) -> State:
        """Evaluate `fun` once, at ``state.x``, and go on; a state that is done stays as it is."""
        return self.tell(state, *self._evaluate(state.x, args))

    def tell(self, state: State, value: Any, gradient: Any, aux: Any = None) -> State:
        """Go on with a value and a gradient that were found elsewhere, for ``state.x``.

        Parameters
        ----------
        state : State
            Stays as it is if it is done.
        value : scalar
            Not finite for a failed evaluation.
        gradient : pytree like x
            The same holds for its numbers.
        aux : pytree, optional
            What to keep of the best evaluation, with ``has_aux``.
        """
        return self._go_on(state, value, gradient, aux, boundless=False)

    def _go_on(
        self, state: State, value: Any, gradient: Any, aux: Any, *, boundless: bool
    ) -> State:
        flat, unravel = _ravel(state.x)
        value = jnp.asarray(value, flat.dtype)
        g = ravel_pytree(gradient)[0].astype(flat.dtype)
        if value.shape != () or g.shape != flat.shape:
            raise InputError(
                f"fun gave a value of shape {value.shape} and {g.size} gradient components; "
                f"expected a scalar and {flat.size}"
            )
        settings = self.options.settings(flat.dtype, boundless=boundless)
        lane = step(state.lane, value, g, settings)
        if self.has_aux:
            better = (lane.nfev > state.lane.nfev) & (lane.nfail == state.lane.nfail)
            aux = pick(better & (value <= state.lane.best_f * state.lane.unit), aux, state.aux)
        return State(unravel(lane.xt), aux if self.has_aux else None, lane)

    def run(self, x0: Any, bounds: Any = None, *args: Any) -> Result:
        """Minimize, in one loop on the device.

        Parameters
        ----------
        x0, bounds
            See `init`.
        *args
            Passed to `fun`.  Derivatives of the result by them, and by the bounds, are implicit,
            in both modes; those by `x0` are zero.

        Returns
        -------
        Result
            The best point evaluated.
        """
        flat, unravel = _ravel(x0)
        lower, upper = boxes.read(bounds, x0, flat)
        held = lax.stop_gradient((flat, lower, upper, args))
        state = lax.while_loop(
            lambda state: ~state.done,
            lambda state: self._go_on(
                state, *self._evaluate(state.x, held[3]), boundless=bounds is None
            ),
            self._begin(held[0], unravel, *held[1:]),
        )
        result = self.result(state)
        if not self.implicit_diff:
            return result

        def value(x: Array, args: Any) -> Array:
            return jnp.asarray(self._evaluate(unravel(x), args)[0])

        def gradient(x: Array, args: Any) -> Array:
            return ravel_pytree(self._evaluate(unravel(x), args)[1])[0]

        x = ravel_pytree(result.x)[0].astype(flat.dtype)
        x = follow(x, lower, upper, args, gradient, self.implicit_solve)
        return result._replace(x=unravel(x), fun=value_along(result.fun, x, args, value))

    def result(self, state: State) -> Result:
        """Return how a run stands: the best point so far."""
        lane = state.lane
        unravel = _ravel(state.x)[1]
        seen = lane.best_f < jnp.inf
        return Result(
            x=unravel(jnp.where(seen, lane.xb, lane.xt)),
            fun=lane.best_f * lane.unit,
            jac=unravel(lane.gb * lane.unit),
            nfev=lane.nfev,
            nit=lane.nit,
            stop=lane.stop,
            success=succeeded(lane.stop),
            aux=state.aux,
        )

    def _evaluate(self, x: Any, args: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        """Return value, gradient and what else came with the value."""
        if self.value_and_grad:
            value, gradient = self.fun(x, *args)
        else:
            value, gradient = jax.value_and_grad(self.fun, has_aux=self.has_aux)(x, *args)
        value, aux = value if self.has_aux else (value, None)
        return value, gradient, aux


def succeeded(stop: Any) -> Any:
    """Whether reasons for stopping, as numbers, are convergence tests."""
    return (stop == PROJECTED_GRADIENT) | (stop == REDUCTION) | (stop == ROUNDING)


def message(stop: Any) -> str:
    """Return the words for a reason of stopping, ``result.stop``.

    Examples
    --------
    >>> message(2)
    'CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH'
    """
    if int(stop) == ROUNDING:
        return "CONVERGENCE: NO DECREASE LEFT THAT FLOAT32 COULD SHOW"
    return Stop(int(stop)).message


def _ravel(x: Any) -> tuple[Array, Callable[[Array], Any]]:
    """Return the point as a vector of floating-point numbers, and the way back."""
    try:
        flat, unravel = ravel_pytree(x)
    except TypeError as error:
        raise InputTypeError(f"x0 is {x!r}; expected a pytree of real arrays") from error
    if jnp.issubdtype(flat.dtype, jnp.complexfloating):
        raise InputTypeError("x0 is complex; expected real numbers")
    if not jnp.issubdtype(flat.dtype, jnp.floating):
        return _ravel(jax.tree.map(lambda a: jnp.asarray(a, float), x))
    if flat.size == 0:
        raise InputError("x0 is empty; expected at least one number")
    if np.finfo(flat.dtype).bits < 32:
        raise InputTypeError(f"x0 is {flat.dtype}; expected float32 or float64")
    return flat, unravel
