"""What a study drives, and the names by which drivers are chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.scipy_methods import method_names
from optdriver.errors import InputError, unknown_option
from optdriver.multistart import OPTION_NAMES, Evaluation, Minimum, Moved, MultiStart, Point, Run
from optdriver.population import CMA_ES, COMMON_NAMES, PopulationDriver, nevergrad_names

Vector = NDArray[np.float64]


class Driver(Protocol):
    """An optimizer that is asked for points and told what was observed there.

    Its state is data: `to_dict` gives numbers, strings, lists and arrays, and the factory's
    ``from_dict`` makes of them a driver that goes on identically.
    """

    @property
    def pending(self) -> Sequence[Point]:
        """The points asked and not told."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask."""

    @property
    def stop_reason(self) -> str | None:
        """Why there is nothing more to ask, or None."""

    @property
    def best(self) -> Evaluation | None:
        """The lowest value told, and where."""

    @property
    def minima(self) -> Sequence[Minimum]:
        """The distinct local minima known, lowest first."""

    @property
    def runs(self) -> Sequence[Run]:
        """A row for each local run."""

    @property
    def moved(self) -> Sequence[Moved]:
        """The initial samples that violated a constraint and were moved."""

    @property
    def nfev(self) -> int:
        """Evaluations told, failures included."""

    @property
    def nfail(self) -> int:
        """Failures told."""

    @property
    def failed_in_row(self) -> int:
        """Iterates that failed since the last one that succeeded."""

    @property
    def turns(self) -> int:
        """A number that changes whenever asking has begun or ended a run."""

    def ask(self, n: int = 1) -> list[Point]:
        """Return up to `n` new points; an empty list when none can be evaluated now."""

    def tell(self, id: int, f: float, g: Any = None) -> None:
        """Tell value and gradient at a point, in any order, each id once."""

    def tell_failure(self, id: int, reason: str = "") -> None:
        """Tell that the evaluation of a point failed."""

    def add_point(self, x: Any, f: float, g: Any = None) -> None:
        """Add an evaluation that was not asked for."""

    def finish(self, reason: str) -> None:
        """Stop from outside."""

    def resume(self) -> None:
        """Take back `finish`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverFactory:
    """How a driver is made.

    Attributes
    ----------
    name : str
        Its one real name.
    create : callable
        ``create(bounds, **options) -> Driver``.
    restore : callable
        ``restore(data) -> Driver``, with `data` from the driver's ``to_dict``.
    options : tuple of str
        The options that `create` knows.
    aliases : tuple of str
        Other names for it.
    """

    name: str
    create: Callable[..., Driver]
    restore: Callable[[Mapping[str, Any]], Driver]
    options: tuple[str, ...]
    aliases: tuple[str, ...] = ()


DEFAULT_DRIVER = "L-BFGS-B"

METHOD = "method"
"""The option of `MultiStart` that the name of the driver decides."""

_OPTIONS = tuple(name for name in OPTION_NAMES if name != METHOD)


def _local_method(name: str) -> DriverFactory:
    """Return the driver that starts a method of SciPy's many times."""
    create = functools.partial(MultiStart, method=name)
    return DriverFactory(name=name, create=create, restore=MultiStart.from_dict, options=_OPTIONS)


def _population(name: str) -> DriverFactory:
    """Return the driver that is CMA-ES or one of Nevergrad's optimizers."""
    create = functools.partial(PopulationDriver, engine=name)
    aliases = ("CMAES", "cmaes") if name == CMA_ES else ()
    return DriverFactory(
        name=name,
        create=create,
        restore=PopulationDriver.from_dict,
        options=_OPTIONS,
        aliases=aliases,
    )


_FACTORIES = (
    DriverFactory(
        name=DEFAULT_DRIVER,
        create=MultiStart,
        restore=MultiStart.from_dict,
        options=_OPTIONS,
        aliases=("L_BFGS_B", "L_BFGS_B_Optimization"),
    ),
    *map(_local_method, method_names()),
    *map(_population, (CMA_ES, *COMMON_NAMES)),
)


def driver_names() -> tuple[str, ...]:
    """Return the real names of all drivers, of Nevergrad's many the most common ones."""
    return tuple(factory.name for factory in _FACTORIES)


def driver_factory(name: str) -> DriverFactory:
    """Return the factory of the driver called `name`, in upper or lower case, or by an alias.

    Raises
    ------
    InputError
        There is no such driver; the message names the nearest one.
    """
    if not isinstance(name, str):
        raise InputError(f"a driver is chosen by its name, a string, not {name!r}")
    for factory in _FACTORIES:
        if _plain(name) in map(_plain, (factory.name, *factory.aliases)):
            return factory
    if (found := nevergrad_names().get(_plain(name))) is not None:
        return _population(found)
    raise unknown_option("driver", name, {*driver_names(), *nevergrad_names().values()})


def create_driver(name: str, bounds: Any, **options: Any) -> Driver:
    """Return a new driver.

    Parameters
    ----------
    name : str
        Its name, see `driver_names`.
    bounds : sequence of (low, high), array of shape (n, 2), or scipy.optimize.Bounds
        The box.
    **options
        Options of the driver.

    Raises
    ------
    InputError
        Unknown driver, unknown option, or a value that cannot be used.
    """
    factory = driver_factory(name)
    for option in options:
        if option not in factory.options:
            raise unknown_option(f"option of driver {factory.name}", option, factory.options)
    return factory.create(bounds, **options)


def restore_driver(name: str, data: Mapping[str, Any]) -> Driver:
    """Return the driver whose ``to_dict`` gave `data`."""
    return driver_factory(name).restore(data)


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")
