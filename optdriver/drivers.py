"""What a study drives, and the names by which drivers are chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver import plugins
from optdriver.coroutine.scipy_methods import Method, method_names, named
from optdriver.errors import (
    InputError,
    UnknownOptionError,
    nearest,
    plain_name,
    unknown_option,
)
from optdriver.multistart import OPTION_NAMES, Evaluation, Minimum, Moved, MultiStart, Point, Run
from optdriver.multistart.local import FITTING, LIMITED
from optdriver.multistart.records import Fill, PointArrays
from optdriver.population import (
    CMA_ES,
    COMMON_NAMES,
    Engine,
    Optimizer,
    PopulationDriver,
    nevergrad_names,
)
from optdriver.undo import Undoing

__all__ = [
    "Driver",
    "DriverFactory",
    "Engine",
    "Method",
    "Optimizer",
    "driver_names",
    "register",
]

Vector = NDArray[np.float64]

METHOD = "method"
"""The option of `MultiStart` that the name of the driver decides."""

ROWS = ("inequalities", "equalities")
"""Those that only the driver for limits on outputs has."""

_ROWED = tuple(name for name in OPTION_NAMES if name != METHOD)
_OPTIONS = tuple(name for name in _ROWED if name not in ROWS)


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
    def num_minima(self) -> int:
        """How many there are."""

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

    def ask(self, n: int = 1, *, fill: Fill = False) -> list[Point]:
        """Return up to `n` new points; an empty list when none can be evaluated now.

        `fill` asks for work beyond what is wanted: see `MultiStart.ask`.
        """

    def ask_arrays(self, n: int = 1, *, fill: Fill = False) -> PointArrays:
        """Return the points that `ask` would return, as columns."""

    def tell(self, id: int, f: Any, g: Any = None) -> None:
        """Tell value and gradient at a point, in any order, each id once.

        One that fits is told residuals, and their Jacobian.
        """

    def expect_noise(self, id: int, noise: float) -> None:
        """Say the standard deviation of the value that is told at a point next."""

    def tell_arrays(self, ids: Sequence[int], f: Vector, g: Any = None) -> None:
        """Tell finite values, and a row of gradients each, at several points that are out."""

    def tell_failure(self, id: int, reason: str = "") -> None:
        """Tell that the evaluation of a point failed."""

    def add_point(self, x: Any, f: float, g: Any = None) -> None:
        """Add an evaluation that was not asked for."""

    def finish(self, reason: str) -> None:
        """Stop from outside."""

    def resume(self) -> None:
        """Take back `finish`."""

    def configure(self, **given: Any) -> None:
        """Change limits and add starts, after the end too; those that mean nothing are ignored."""

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
        ``create(bounds, **options) -> Driver``.  A study gives all of `options`.
    restore : callable
        ``restore(data) -> Driver``, with `data` from the driver's ``to_dict``.
    options : tuple of str
        The options that `create` knows.
    aliases : tuple of str
        Other names for it.
    gradient : bool
        Whether gradients are of use to it.
    fits : bool
        Whether it is told residuals, with their Jacobian in place of a gradient.
    limits : bool
        Whether it is told rows of constraints with the value.
    bounds : bool
        Whether it keeps to bounds.
    """

    name: str
    create: Callable[..., Driver]
    restore: Callable[[Mapping[str, Any]], Driver]
    options: tuple[str, ...] = _OPTIONS
    aliases: tuple[str, ...] = ()
    gradient: bool = True
    fits: bool = False
    limits: bool = False
    bounds: bool = True


DEFAULT_DRIVER = "L-BFGS-B"

NEVERGRAD = "nevergrad:"
"""Before a name it means: Nevergrad's optimizer of that name, and not ours."""

_ALIASES = {
    DEFAULT_DRIVER: ("L_BFGS_B_Optimization",),
    FITTING: ("Levenberg-Marquardt", "lm"),
    LIMITED: ("SQP",),
    "Nelder-Mead": ("SimplexOptimization", "DownhillSimplexOptimization"),
    "DE": ("DifferentialEvolution",),
}
"""Names of the other dialect; case, hyphens and underscores do not matter in any name."""


def _local_method(name: str) -> DriverFactory:
    """Return the driver that starts a callback-style method many times."""
    create = functools.partial(MultiStart, method=name)
    return DriverFactory(
        name=name,
        create=create,
        restore=MultiStart.from_dict,
        options=_OPTIONS,
        aliases=_ALIASES.get(name, ()),
        gradient=named(name).gradient,
        bounds=named(name).bounds,
    )


def _population(name: str) -> DriverFactory:
    """Return the driver that is CMA-ES, one of Nevergrad's optimizers, or one that was added."""
    create = functools.partial(PopulationDriver, engine=name)
    ours = (DEFAULT_DRIVER, *_ALIASES[LIMITED], *method_names())
    taken = plain_name(name) in map(plain_name, ours)
    return DriverFactory(
        name=NEVERGRAD + name if taken else name,
        create=create,
        restore=PopulationDriver.from_dict,
        options=_OPTIONS,
        aliases=_ALIASES.get(name, ()),
        gradient=False,
    )


_FACTORIES = (
    DriverFactory(
        name=DEFAULT_DRIVER,
        create=MultiStart,
        restore=MultiStart.from_dict,
        options=_OPTIONS,
        aliases=_ALIASES[DEFAULT_DRIVER],
    ),
    DriverFactory(
        name=FITTING,
        create=functools.partial(MultiStart, method=FITTING),
        restore=MultiStart.from_dict,
        options=_OPTIONS,
        aliases=_ALIASES[FITTING],
        fits=True,
    ),
    DriverFactory(
        name=LIMITED,
        create=functools.partial(MultiStart, method=LIMITED),
        restore=MultiStart.from_dict,
        options=_ROWED,
        aliases=_ALIASES[LIMITED],
        limits=True,
    ),
    *map(_local_method, method_names()),
    *map(_population, (CMA_ES, *COMMON_NAMES)),
)
_NAMES = tuple(factory.name for factory in _FACTORIES)
_BY_NAME = {
    plain_name(name): factory for factory in _FACTORIES for name in (factory.name, *factory.aliases)
}
_ELSEWHERE = {
    "scipyminimizer": "name its method instead: 'L-BFGS-B', 'Nelder-Mead', 'SLSQP', ...",
    "bayesianoptimization": "optdriver has none; optdriver.integrations.botorch is for BoTorch",
    "activelearning": "optdriver has none; optdriver.integrations.botorch is for BoTorch",
}
"""Drivers of other packages, by plain names, and what to say of them."""


def driver_names() -> tuple[str, ...]:
    """Return the real names of all drivers, of Nevergrad's many the most common ones.

    Those that other packages add come last.
    """
    return (*_NAMES, *(name for name in plugins.names() if plain_name(name) not in _BY_NAME))


def register(method: Method | Optimizer | DriverFactory) -> None:
    """Let a study, and `optdriver.minimize`, know a method of another package by its name.

    An installed package does the same, without being imported before it is wanted, by an entry
    point of the group ``optdriver.methods`` that bears the name of the method.

    Parameters
    ----------
    method : Method, Optimizer or DriverFactory
        A local method that calls its objective, as those of `scipy.optimize.minimize` do, and is
        started many times; an optimizer that is asked and told itself; or a driver.  It takes the
        place of one that was registered under its name before.

    Raises
    ------
    InputError
        It is none of these, or its name means another one already.
    """
    if not isinstance(method, Method | Optimizer | DriverFactory):
        raise InputError(f"expected a Method, an Optimizer or a DriverFactory, not {method!r}")
    if isinstance(method, Method) and method.function is None:
        raise InputError(f"method {method.name!r} has no function, and is none of SciPy's")
    plain = plain_name(method.name)
    if plain in _BY_NAME or plain in nevergrad_names() or ":" in method.name:
        raise InputError(
            f"the name {method.name!r} cannot be had: another method has it, or it has a colon"
        )
    _named.cache_clear()
    plugins.add(method)


def driver_factory(name: str, what: str = "driver") -> DriverFactory:
    """Return the factory of the driver called `name`.

    Case, hyphens and underscores do not matter: ``'L-BFGS-B'``, ``'LBFGSB'`` and ``'l_bfgs_b'`` are
    the same.  A name means a driver of this package or a method of SciPy's first, and one of
    Nevergrad's optimizers where there is none; ``'nevergrad:LBFGSB'`` always means Nevergrad's.

    Raises
    ------
    InputError
        There is no such driver; the message names the nearest one.  `what` is what it is called.
    """
    if not isinstance(name, str):
        raise InputError(f"a {what} is chosen by its name, a string, not {name!r}")
    return _named(name, what)


@functools.lru_cache(maxsize=64)  # whoever tells a study a value looks whether it is one that fits
def _named(name: str, what: str) -> DriverFactory:
    prefix, found, rest = name.rpartition(":")
    if found:
        return _of_nevergrad(what, name, prefix, rest)
    factory = _BY_NAME.get(plain_name(name))
    if factory is not None:
        return factory
    nevergrads = nevergrad_names()
    if plain_name(name) in nevergrads:
        return _population(nevergrads[plain_name(name)])
    added = plugins.find(name)
    if added is not None:
        return _added(added)
    hint = _ELSEWHERE.get(plain_name(name), "")
    hint = f": {hint}" if hint else nearest(name, (*driver_names(), *nevergrads.values()))
    raise UnknownOptionError(
        f"unknown {what} {name!r}{hint}; known: {', '.join(driver_names())}, and Nevergrad's "
        "optimizers by their names (is the package installed that adds it?)"
    )


def _added(plugin: plugins.Plugin) -> DriverFactory:
    """Return the driver of what another package has added."""
    if isinstance(plugin, DriverFactory):
        return plugin
    return _local_method(plugin.name) if isinstance(plugin, Method) else _population(plugin.name)


def _of_nevergrad(what: str, name: str, prefix: str, rest: str) -> DriverFactory:
    """Return the driver that is Nevergrad's optimizer called `rest`."""
    if plain_name(prefix + ":") != NEVERGRAD:
        raise InputError(
            f"unknown {what} {name!r}: before a colon only 'nevergrad' is known, as in "
            "'nevergrad:LBFGSB'"
        )
    names = nevergrad_names()
    found = names.get(plain_name(rest), None if names else rest)  # what is missing is said later
    if found is None:
        raise InputError(f"Nevergrad has no optimizer {rest!r}{nearest(rest, names.values())}")
    return _population(found)


def engine_name(name: str) -> str:
    """Return the name of an optimizer without that of its package."""
    return name.removeprefix(NEVERGRAD)


def recorded_name(name: str) -> str:
    """Return the real name of a driver that a study was recorded with.

    Nevergrad's optimizers of the same names as ours were recorded without its prefix at first.
    """
    if name in _NAMES or plain_name(name) not in _BY_NAME:
        return name
    return NEVERGRAD + name


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


def without_undo(driver: Driver) -> Driver:
    """Return a driver that leaves it to its study to make it anew where a call was broken off."""
    if isinstance(driver, Undoing):
        driver.without_undo()
    return driver
