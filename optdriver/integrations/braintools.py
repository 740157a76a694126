"""The two optimizers of `braintools.optim`, with our minimizers inside: change one import.

``from optdriver.integrations.braintools import ScipyOptimizer, NevergradOptimizer`` takes their
place: the arguments, attributes and results are theirs (braintools 0.0.12 and later).  Neither
braintools nor brainunit has to be installed; quantities are known by their shape.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.coroutine.scipy_methods import METHODS, method_names, named
from optdriver.drivers import driver_factory
from optdriver.errors import InputError, InputTypeError, ObjectiveWarning, say
from optdriver.minimization import Minimizer
from optdriver.minimization.methods import OWN_OPTIONS
from optdriver.multistart.records import Point
from optdriver.population import CMA_ES, PopulationDriver
from optdriver.population.engines import one_at_a_time
from optdriver.space.pytree import Structure
from optdriver.space.units import Unit, number_in, number_of, unit_of

__all__ = ["NevergradOptimizer", "ScipyOptimizer"]

Vector = NDArray[np.float64]
Bounds = Mapping[str, Any] | Sequence[Any]

PRINTING = ("disp", "iprint", "verbose")
"""Options by which SciPy's methods are told to print."""

SCIPYS = {
    "eps",
    "finite_diff_rel_step",
    "workers",
    "maxcor",
    "maxls",
    "maxfun",
    "return_all",
    "rhobeg",
}
"""Further options of SciPy's methods."""

LOWEST_SEEDS = 2**31


class ScipyOptimizer:
    """Minimise a loss written with JAX from random starts within bounds.

    Parameters
    ----------
    loss_fun : callable
        Returns one number; called with the parameters by name where `bounds` is a dictionary, and
        by position otherwise: plain numbers and arrays, in the units of the lower bounds.
    bounds : dict or sequence of pairs
        A pair ``(low, high)`` for each parameter: numbers, arrays or quantities; or an array, or a
        quantity, that has both along its first axis.
    method : str, optional
        A method of `scipy.optimize.minimize`, or any other of `optdriver.minimize`; by default
        ours.  Where the method takes no constraints and there are some, or does not keep to bounds,
        it is ours in any case, which never leaves them; an `ObjectiveWarning` says so.
    constraints : optional
        SciPy's dictionaries and objects (their functions get the vector of all numbers), functions
        and texts: see `optdriver.Minimizer`.
    tol, callback, options : optional
        As in `scipy.optimize.minimize`; ``callback(x)`` gets the structure of the bounds, and
        ``options={'disp': True}`` prints how it ended, and those of other methods are left out
        with an `ObjectiveWarning`, as SciPy does.

    Raises
    ------
    InputError
        Something given cannot be used; the message says what and why.

    Notes
    -----
    Starts are drawn with the seed of `numpy.random`, as braintools does: after
    ``numpy.random.seed(...)`` they are the same.

    Examples
    --------
    >>> def loss(x, y):
    ...     return (x - 1.0) ** 2 + (y + 2.0) ** 2
    >>> optimizer = ScipyOptimizer(loss, [(-5.0, 5.0), (-3.0, 3.0)])  # doctest: +SKIP
    >>> result = optimizer.minimize(n_iter=3)  # doctest: +SKIP
    >>> [round(float(value), 3) for value in result.x]  # doctest: +SKIP
    [1.0, -2.0]
    """

    def __init__(
        self,
        loss_fun: Callable[..., Any],
        bounds: Any,
        method: str | None = None,
        constraints: Any = (),
        tol: float | None = None,
        callback: Callable[..., Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.loss_fun, self.bounds, self.method = loss_fun, bounds, method
        self.constraints, self.tol, self.callback = constraints, tol, callback
        self.options = options
        plain, _ = without_units(bounds)
        given = dict(options or {})
        constrained = not (isinstance(constraints, list | tuple) and not constraints)
        constrained = constrained and constraints is not None
        used = method
        left = _left("L-BFGS-B" if method is None else method, constrained=constrained)
        if left:
            say(
                f"method {method!r} would leave the {left} on its way; optdriver's own minimizer, "
                "which does not, is used in its place",
                ObjectiveWarning,
            )
            used = None
        given = _understood("L-BFGS-B" if used is None else used, given, quiet=bool(left))
        self._minimizer = Minimizer(
            loss_fun,
            plain,
            "L-BFGS-B" if used is None else used,
            constraints=constraints if constrained else None,
            tol=tol,
            callback=callback,
            options=given,
            progress=False,
        )

    def minimize(self, n_iter: int = 1) -> OptimizeResult:
        """Minimise from `n_iter` random starts; return the best result, with SciPy's fields.

        ``x`` has the structure of the bounds, without units.
        """
        result = self._minimizer.minimize(_positive("n_iter", n_iter), seed=_seed())
        result["fun"] = np.float64(result["fun"])  # as theirs: a gain over 0 is no error then
        return result


class NevergradOptimizer:
    """Minimise a loss of many candidates at once with one of Nevergrad's optimizers.

    Parameters
    ----------
    batched_loss_fun : callable
        Returns a loss for each candidate, shape ``(n_sample,)``; called with arrays that have the
        candidates along their first axis, by name where `bounds` is a dictionary and by position
        otherwise, with the units of the lower bounds.
    bounds : dict or sequence of pairs
        A pair ``(low, high)`` for each parameter: numbers, arrays or quantities, all finite; or an
        array, or a quantity, that has both along its first axis.
    n_sample : int
        Candidates an iteration; one by one where the method takes only one at a time.
    method : str
        The name of one of Nevergrad's optimizers, or ``'CMA-ES'``.
    use_nevergrad_recommendation : bool
        Has no effect but an `ObjectiveWarning`: the best observed candidate is returned.
    budget : int, optional
        The most evaluations; without it as many as are wanted.
    num_workers : int
        How many candidates Nevergrad expects to be out at least.
    method_params : mapping, optional
        Further options: see `optdriver.population.PopulationDriver`.

    Attributes
    ----------
    candidates : list
        All candidates that were evaluated, with the structure of the bounds, without units.
    errors : ndarray
        Their losses; NaN where one could not be evaluated, which ends nothing.

    Raises
    ------
    InputError
        Something given cannot be used; the message says what and why.
    MissingExtraError
        Nevergrad is not installed.

    Examples
    --------
    >>> def loss(x, y):
    ...     return (x - 2.0) ** 2 + (y + 1.0) ** 2
    >>> optimizer = NevergradOptimizer(loss, [(-5.0, 5.0), (-3.0, 3.0)], n_sample=8)
    >>> x, y = optimizer.minimize(n_iter=40, verbose=False)
    >>> abs(x - 2.0) < 0.5, optimizer.errors.shape
    (True, (320,))
    """

    candidates: list[Any]
    errors: Vector

    def __init__(
        self,
        batched_loss_fun: Callable[..., Any],
        bounds: Any,
        n_sample: int,
        method: str = "DE",
        use_nevergrad_recommendation: bool = False,
        budget: int | None = None,
        num_workers: int = 1,
        method_params: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(batched_loss_fun):
            raise InputTypeError(f"the loss must be callable, not {batched_loss_fun!r}")
        if use_nevergrad_recommendation:
            say(
                "what Nevergrad recommends may never have been evaluated: the best candidate "
                "observed is returned, as without use_nevergrad_recommendation"
            )
        self.vmap_loss_fun, self.bounds, self.method = batched_loss_fun, bounds, method
        self.n_sample = _positive("n_sample", n_sample)
        self.budget, self.num_workers = budget, num_workers
        self.use_nevergrad_recommendation = use_nevergrad_recommendation
        self.method_params = dict(method_params or {})
        plain, self._units = without_units(bounds)
        self._structure = Structure(plain)
        self._engine = method if method == CMA_ES else driver_factory(f"nevergrad:{method}").name
        self.initialize()

    def initialize(self) -> None:
        """Forget all candidates, and begin anew."""
        self.candidates, self.errors = [], np.empty(0)
        self._best: Vector | None = None
        self._lowest = math.inf

    def minimize(self, n_iter: int = 1, verbose: bool = True) -> Any:
        """Evaluate `n_iter` times `n_sample` candidates; return the best, with units.

        Parameters
        ----------
        n_iter : int
        verbose : bool
            Print a line an iteration.

        Returns
        -------
        list or dict
            As `bounds` is; None where no candidate could be evaluated, or none was.
        """
        self.initialize()
        driver = self._driver(_positive("n_iter", n_iter) * self.n_sample)
        for number in range(n_iter):
            if not self._iterate(driver):
                self._say_why(driver)
                break
            best = np.nan if self._best is None else self._lowest
            if verbose:
                print(  # noqa: T201  # that is what it is asked for
                    f"Iteration {number}, best error: {best:.5f}, best parameters: {self._found()}"
                )
        return self._found()

    def _say_why(self, driver: PopulationDriver) -> None:
        """Warn where an error inside of the optimizer, and no budget, has ended it early."""
        if driver.nfev < (math.inf if self.budget is None else self.budget):
            say(f"{driver.stop_reason}, after {driver.nfev} evaluations: see another method")

    def _driver(self, evaluations: int) -> PopulationDriver:
        options = dict(self.method_params)
        engine = self._engine.removeprefix("nevergrad:")
        if engine == CMA_ES:
            options.setdefault("population_size", max(self.n_sample, 3))
        else:
            options["budget"] = evaluations if self.budget is None else self.budget
            workers = 1 if one_at_a_time(engine) else max(self.num_workers, self.n_sample)
            options.setdefault("num_workers", workers)
        box = np.column_stack([self._structure.lower, self._structure.upper])
        return PopulationDriver(box, engine=engine, seed=_seed(), method_options=options)

    def _iterate(self, driver: PopulationDriver) -> bool:
        """Evaluate the candidates of an iteration; return whether there were any."""
        left = self.n_sample
        while left and (points := driver.ask(left)):
            self._evaluate(driver, points)
            left -= len(points)
        return left < self.n_sample

    def _evaluate(self, driver: PopulationDriver, points: list[Point]) -> None:
        made = [self._structure.build(point.x) for point in points]
        errors = self._called(made)
        for point, error in zip(points, errors.tolist(), strict=True):
            driver.tell(point.id, error)
        self.candidates.extend(made)
        self.errors = np.concatenate([self.errors, errors])
        if driver.best is not None and driver.best.f < self._lowest:
            self._best, self._lowest = driver.best.x, driver.best.f

    def _called(self, made: list[Any]) -> Vector:
        """Return the losses of candidates."""
        stacked = self._with_units(_stacked(made))
        if isinstance(stacked, dict):
            found = self.vmap_loss_fun(**stacked)
        else:
            found = self.vmap_loss_fun(*stacked)
        errors = np.asarray(number_of(found), dtype=np.float64)
        if errors.shape != (len(made),):
            raise InputError(
                f"the loss returned an array of shape {errors.shape} for {len(made)} candidates; "
                f"expected ({len(made)},): one for each along the first axis of the parameters"
            )
        return errors

    def _with_units(self, values: Any) -> Any:
        if isinstance(values, dict):
            return {name: _attached(self._units[name], value) for name, value in values.items()}
        return [_attached(self._units[k], value) for k, value in enumerate(values)]

    def _found(self) -> Any:
        """Return the best candidate, with units."""
        return None if self._best is None else self._with_units(self._structure.build(self._best))


def _understood(method: str, given: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Return the options without those of other methods, which SciPy leaves out with a warning.

    Names that no method has are left to be refused; without `quiet` what is left out is said.
    """
    if method not in method_names() and method != "L-BFGS-B":
        return given
    ours = set(OWN_OPTIONS if method == "L-BFGS-B" else (*named(method).options, "maxfun"))
    of_others = {name for each in METHODS for name in (*each.options, *each.limits)}
    foreign = [k for k in given if k in (of_others | SCIPYS) - ours - set(PRINTING)]
    if foreign and not quiet:
        say(f"options of other methods than {method!r} are left out: {', '.join(foreign)}")
    return {name: value for name, value in given.items() if name not in foreign}


def _left(method: str, *, constrained: bool) -> str:
    """Return what a method does not keep to, '' for nothing."""
    if method not in method_names():
        return ""
    known = named(method)
    if constrained and not known.constraints:
        return "constraints"
    return "" if known.bounds else "bounds"


def without_units(bounds: Any) -> tuple[Any, Any]:
    """Return bounds as plain numbers, in the units of the lower sides, and these units.

    Raises
    ------
    InputError
        They are no pairs, or the units of a pair do not fit.
    """
    if isinstance(bounds, Mapping):
        pairs = {name: _plain(str(name), pair) for name, pair in bounds.items()}
        return (
            {name: pair for name, (pair, _) in pairs.items()},
            {name: unit for name, (_, unit) in pairs.items()},
        )
    if not isinstance(bounds, list | tuple):
        raise InputTypeError(
            f"bounds is a dictionary or a sequence of pairs (low, high), not {bounds!r}"
        )
    listed = [_plain(str(k), pair) for k, pair in enumerate(bounds)]
    return [pair for pair, _ in listed], [unit for _, unit in listed]


def _plain(name: str, pair: Any) -> tuple[tuple[Any, Any], Unit | None]:
    both = isinstance(pair, list | tuple) or np.ndim(number_of(pair)) > 0
    if not both or len(pair) != 2:
        raise InputError(f"the bounds of parameter {name} are a pair (low, high), not {pair!r}")
    unit = unit_of(pair[0])
    low, high = (number_in(side, unit, f"a bound of parameter {name}") for side in pair)
    return (low, high), unit


def _stacked(made: list[Any]) -> Any:
    """Return candidates along the first axis of each parameter."""
    first = made[0]
    if isinstance(first, dict):
        return {name: _array([each[name] for each in made]) for name in first}
    return [_array([each[k] for each in made]) for k in range(len(first))]


def _array(values: list[Any]) -> Any:
    array = np.array(values)
    if importlib.util.find_spec("jax") is None:
        return array
    import jax.numpy as jnp

    return jnp.asarray(array)


def _attached(unit: Unit | None, value: Any) -> Any:
    return value if unit is None else unit.attach(value)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} is a positive whole number, not {value!r}")
    return int(value)


def _seed() -> int:
    return int(np.random.randint(LOWEST_SEEDS))  # noqa: NPY002  # the state that users seed
