"""The optimizers of other packages behind one small protocol, in the coordinates of the unit box.

CMA-ES is that of the package `cmaes`: small, with a random state of its own (pycma seeds NumPy's
global one, which nobody else may then use).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver import plugins
from optdriver.errors import (
    InputError,
    InputTypeError,
    missing_extra,
    plain_name,
    unknown_option,
)

Vector = NDArray[np.float64]

CMA_ES = "CMA-ES"
COMMON_NAMES = ("DE", "NGOpt", "OnePlusOne", "PSO", "TBPSA", "TwoPointsDE")
"""Names of Nevergrad's that are known without it."""

BUDGET = 1000
FAILED_GENERATIONS = 3
LARGE = 1e20
ROUNDING = 1e-9
"""How far a candidate may be from where it was evaluated; else it is told as another point."""


class Engine(Protocol):
    """What a population driver drives.  Points count up from 0 in the order of asking."""

    @property
    def room(self) -> float:
        """How many more points it can be asked for now."""

    @property
    def ended(self) -> tuple[bool, str] | None:
        """Whether it converged and why it ended; None while it goes on."""

    def ask(self) -> Vector:
        """Return the next point, in the unit box."""

    def tell(self, k: int, u: Vector, f: float) -> None:
        """Take the value at point `k`, which was `u`; NaN for a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """What another package adds: an optimizer that is asked and told, and needs values alone.

    Attributes
    ----------
    name : str
    create : callable
        ``create(start, n, seed, options)`` returns an `Engine` in `n` variables, each from 0 to 1,
        that begins at `start` if that is not None, and does the same again for the same `seed` and
        values: it is not stored, but asked and told anew where a study is opened.
    options : tuple of str
        The names of its own options, numbers, strings or flags, in ``method_options``.
    """

    name: str
    create: Callable[[Vector | None, int, int, Mapping[str, Any]], Engine]
    options: tuple[str, ...] = ()


class CMAEngine:
    """CMA-ES (Hansen, arXiv:1604.00772): one generation is out at a time.

    A failed evaluation counts as the worst of its generation, of which only the ranks matter.
    """

    def __init__(self, start: Vector | None, n: int, seed: int, options: Mapping[str, Any]) -> None:
        cmaes = _module("cmaes", "driver 'CMA-ES'", "cma")
        self._n = n
        size = max(2, n)  # it takes no single variable; the second one then means nothing
        mean = np.full(size, 0.5)
        if start is not None:
            mean[:n] = start
        self._cma: Any = cmaes.CMA(
            mean=mean,
            sigma=float(options.get("sigma", 0.3)),
            bounds=np.tile([0.0, 1.0], (size, 1)),
            seed=seed,
            population_size=options.get("population_size"),
        )
        self._asked: list[Vector] = []
        self._told: dict[int, float] = {}
        self._first = 0
        self._barren = 0

    @property
    def room(self) -> float:
        """Return how many more points it can be asked for now."""
        return int(self._cma.population_size) - len(self._asked)

    @property
    def ended(self) -> tuple[bool, str] | None:
        """Return whether it converged and why it ended; None while it goes on."""
        if self._barren >= FAILED_GENERATIONS:
            return False, f"{self._barren} generations in a row could not be evaluated"
        if not self._asked and self._cma.generation > 0 and self._cma.should_stop():
            return True, "CMA-ES: the population has contracted"
        return None

    def ask(self) -> Vector:
        """Return the next point, in the unit box."""
        u = np.clip(self._cma.ask(), 0.0, 1.0)
        self._asked.append(u)
        return np.array(u[: self._n])

    def tell(self, k: int, u: Vector, f: float) -> None:
        """Take the value at point `k`, which was `u`; NaN for a failure."""
        number = k - self._first
        self._asked[number][: self._n] = u
        self._told[number] = f
        if len(self._told) == self._cma.population_size:
            self._close_generation()

    def _close_generation(self) -> None:
        values = [self._told[number] for number in range(len(self._told))]
        finite = [f for f in values if not math.isnan(f)]
        self._barren = 0 if finite else self._barren + 1
        if finite:
            worst = max(finite)
            pairs = zip(self._asked, values, strict=True)
            self._cma.tell([(u, worst if math.isnan(f) else f) for u, f in pairs])
        self._first += len(self._asked)
        self._asked, self._told = [], {}


class NevergradEngine:
    """One of Nevergrad's optimizers, for a budget of evaluations.

    A failed evaluation counts as the worst value told so far, and before there is one as 1e20.
    No more points are out than its `num_workers`: some of its optimizers block on the next.
    """

    def __init__(
        self, name: str, start: Vector | None, n: int, seed: int, options: Mapping[str, Any]
    ) -> None:
        ng = _nevergrad()
        self._budget = options.get("budget", BUDGET)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            box = ng.p.Array(init=np.full(n, 0.5), lower=0.0, upper=1.0)
            box.random_state = np.random.RandomState(seed % 2**32)
            self._box: Any = box
            self._optimizer: Any = ng.optimizers.registry[name](
                parametrization=box,
                budget=self._budget,
                num_workers=options.get("num_workers", 1),
            )
            if start is not None:
                self._optimizer.suggest(start)
        self._out: dict[int, Any] = {}
        self._asked = self._told = 0
        self._worst = -math.inf

    @property
    def room(self) -> float:
        """Return how many more points it can be asked for now."""
        left = int(self._budget) - self._asked
        return min(left, int(self._optimizer.num_workers) - len(self._out))

    @property
    def ended(self) -> tuple[bool, str] | None:
        """Return whether it converged and why it ended; None while it goes on."""
        if self._told < self._budget:
            return None
        return False, f"the budget of {self._budget} evaluations is used"

    def ask(self) -> Vector:
        """Return the next point, in the unit box."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            candidate = self._optimizer.ask()
        self._out[self._asked] = candidate
        self._asked += 1
        return np.clip(np.asarray(candidate.value, dtype=np.float64), 0.0, 1.0)

    def tell(self, k: int, u: Vector, f: float) -> None:
        """Take the value at point `k`, which was `u`; NaN for a failure."""
        candidate = self._out.pop(k)
        self._told += 1
        if not math.isnan(f):
            self._worst = max(self._worst, f)
        elif self._worst == -math.inf:
            f = LARGE
        if not np.allclose(np.clip(candidate.value, 0.0, 1.0), u, rtol=0.0, atol=ROUNDING):
            candidate = self._box.spawn_child(new_value=u)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer.tell(candidate, self._worst if math.isnan(f) else f)


_OPTIONS = {CMA_ES: ("population_size", "sigma")}
_NEVERGRAD_OPTIONS = ("budget", "num_workers")


def checked_options(name: str, given: Any) -> dict[str, Any]:
    """Return the options of an engine, checked.

    Raises
    ------
    InputError
        An unknown option, or a value that cannot be used.
    """
    options = {} if given is None else given
    if not isinstance(options, Mapping):
        raise InputTypeError(f"method_options is a dict of options, not {given!r}")
    added = known_optimizer(name)
    known = _OPTIONS.get(name, _NEVERGRAD_OPTIONS) if added is None else added.options
    for option, value in options.items():
        if option not in known:
            raise unknown_option(f"option of {name}", option, known)
        if added is not None:
            if not isinstance(value, bool | int | float | str | np.generic):
                raise InputTypeError(
                    f"option {option!r} of {name} is a number, a string or a flag, not {value!r}"
                )
            continue
        whole = option != "sigma"
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, kinds):
            kind = "a whole number" if whole else "a number"
            raise InputTypeError(f"option {option!r} of {name} is {kind}, not {value!r}")
        least = {"population_size": 3, "sigma": 0.0}.get(option, 1)
        if not least <= value < math.inf or value == 0:
            raise InputError(f"option {option!r} of {name} is at least {least}, not {value}")
    return {option: np.asarray(value).item() for option, value in options.items()}


def known_optimizer(name: str) -> Optimizer | None:
    """Return the optimizer that another package has added under a name; None if none has."""
    if name == CMA_ES or plain_name(name) in nevergrad_names():
        return None
    found = plugins.find(name)
    return found if isinstance(found, Optimizer) else None


def create_engine(
    name: str, start: Vector | None, n: int, seed: int, options: Mapping[str, Any]
) -> Engine:
    """Return a new engine in `n` variables, which begins at `start` if that is given."""
    if name == CMA_ES:
        return CMAEngine(start, n, seed, options)
    added = known_optimizer(name)
    if added is not None:
        return added.create(start, n, seed, options)
    return NevergradEngine(name, start, n, seed, options)


@functools.cache
def nevergrad_names() -> dict[str, str]:
    """Return the names of Nevergrad's optimizers, by plain ones; none where it is missing."""
    if importlib.util.find_spec("nevergrad") is None:
        return {}
    names: dict[str, str] = {}
    for name in _nevergrad().optimizers.registry:
        names.setdefault(plain_name(name), name)
    return names


def one_at_a_time(name: str) -> bool:
    """Return whether an optimizer of Nevergrad's has to be told a value before it is asked again.

    Such ones are SciPy's and NLopt's methods behind its names, as ``LBFGSB`` and ``Powell``.
    """
    return bool(getattr(_nevergrad().optimizers.registry[name], "no_parallelization", False))


def _nevergrad() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _module("nevergrad", "a driver of Nevergrad's", "nevergrad")


def _module(name: str, feature: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_extra(feature, name, extra) from error
