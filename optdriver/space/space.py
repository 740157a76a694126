"""The parameters of a study: names on the user's side, a vector on the driver's side.

A parameter is continuous (it has bounds) or fixed (it has a value).  The driver sees the
continuous ones only, in the order in which they were given, as a vector ``z``: see
`optdriver.space.coordinates`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.numerics import quiet
from optdriver.reading import is_listed, real_number, real_vector, short
from optdriver.space.coordinates import Coordinates
from optdriver.space.recognising import is_structured
from optdriver.space.units import Unit, is_quantity

if TYPE_CHECKING:
    from optdriver.space.pytree import Structure

FloatArray = NDArray[np.float64]

_KEYS: Final = ("name", "type", "domain", "scale")
_SCALES: Final = ("linear", "log")
_KINDS: Final = ("continuous", "fixed")
_REFUSED: Final = {
    "integer": "integer",
    "discrete": "discrete",
    "categorical": "categorical",
    "categorial": "categorical",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `lower` and `upper` when it is continuous, `value` when it is fixed.

    `log` says that minimizers see its logarithm.
    """

    name: str
    lower: float = -math.inf
    upper: float = math.inf
    value: float | None = None
    log: bool = False

    @property
    def fixed(self) -> bool:
        """True for a parameter with a value, False for one with bounds."""
        return self.value is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as an entry ``{'name', 'type', 'domain'}``."""
        if self.fixed:
            return {"name": self.name, "type": "fixed", "domain": self.value}
        entry = {"name": self.name, "type": "continuous", "domain": [self.lower, self.upper]}
        return entry | ({"scale": "log"} if self.log else {})


class Space:
    """Named parameters, continuous and fixed, or a structure of them.

    Parameters
    ----------
    domain : mapping, sequence of entries, structure of pairs, or Space
        Either ``{'x1': (-1.5, 1.5), 'radius': 2.0}`` (a pair is a range, a number is a fixed
        value) or ``[{'name': 'x1', 'type': 'continuous', 'domain': (-1.5, 1.5)}, ...]``.  A
        bound may be None or infinite.  An entry with ``'scale': 'log'`` is a logarithmic parameter,
        as in ``{'D': {'domain': (1e-15, 1e-10), 'scale': 'log'}}``: its bounds are above 0, and
        steps, starts and differences are taken in its logarithm.  Everything else that
        `optdriver.minimize` takes for bounds is a structure: see `optdriver.space.bounds`.
    environment : mapping or sequence of entries, optional
        More fixed parameters.
    scale : bool, optional
        False leaves the driver's coordinates equal to the user's, or their logarithms.
    positions : sequence of str, optional
        Names of what an objective takes by position, where parameters are handed over so.

    Attributes
    ----------
    structure : Structure or None
        None where parameters are names with a number each.
    plain : tuple of str
        What of a structure that was described did not come back as it was.
    narrow : ndarray of bool, shape (n,)
        Which numbers are of a type narrower than float64.
    inexact : bool
        Whether the way to the driver and back gives the same number to rounding only.
    spacing : ndarray, shape (n,)
        Relative, of the numbers for which that is so; 0 elsewhere.

    Raises
    ------
    InputError
        For a parameter that cannot be used; the message says which one and why.
    """

    __slots__ = (
        "_base", "_described", "_known", "_narrow", "coordinates", "entries", "fixed", "free",
        "inexact", "log", "logarithmic", "lower", "names", "narrow", "plain", "scale", "scaled",
        "size", "spacing", "structure", "upper",
    )  # fmt: skip

    def __init__(
        self,
        domain: Space | Mapping[str, Any] | Iterable[Any],
        environment: Mapping[str, Any] | Iterable[Any] | None = None,
        *,
        scale: bool = True,
        positions: Sequence[str] = (),
    ) -> None:
        if isinstance(domain, Space):
            scale = scale and domain.scaled
        structure = structure_of(domain, environment, positions)
        if structure is None:
            entries = [*_parameters(domain), *_environment(environment)]
            _check_names(entries)
        else:
            entries = structure_entries(structure)
        self._set(entries, structure, scale)

    def _set(self, entries: Sequence[Parameter], structure: Structure | None, scale: bool) -> None:
        free = [entry for entry in entries if not entry.fixed]
        if not free:
            raise InputError(
                "nothing to optimise: the domain has no continuous parameter; "
                "give at least one as {'name': ..., 'type': 'continuous', 'domain': (lo, hi)}"
            )
        self.entries: tuple[Parameter, ...] = tuple(entries)
        self.names: tuple[str, ...] = tuple(entry.name for entry in entries)
        self._known = frozenset(self.names)
        self.free: tuple[str, ...] = tuple(entry.name for entry in free)
        self.fixed: dict[str, float] = {e.name: e.value for e in entries if e.value is not None}
        self.lower = np.array([entry.lower for entry in free])
        self.upper = np.array([entry.upper for entry in free])
        self.size = len(free)
        self.scaled: bool = scale
        self.log: NDArray[np.bool_] = np.array([entry.log for entry in free])
        self.coordinates = Coordinates.of(self.lower, self.upper, self.log, scaled=scale)
        self.logarithmic = self.coordinates.logarithmic
        self.scale: FloatArray = self.coordinates.scale
        self._base: dict[str, float] | None = (
            dict.fromkeys(self.names, 0.0) | self.fixed if self.fixed else None
        )
        self.spacing: FloatArray = np.where(self.log, np.finfo(np.float64).eps, 0.0)
        self.narrow: NDArray[np.bool_] = np.zeros(self.size, dtype=bool)
        self.structure = structure
        self.plain: tuple[str, ...] = ()
        self._narrow: list[tuple[slice, Any, float]] = []
        if structure is not None:
            self._set_structure(structure)
        self.inexact = self.logarithmic or bool(self._narrow)

    @classmethod
    def of(cls, structure: Structure, *, scale: bool = True) -> Space:
        """Return the space of a structure."""
        return cls(_with_structure(structure_entries(structure), structure, scale))

    def _set_structure(self, structure: Structure) -> None:
        """Add what numbers do not say."""
        from optdriver.space.description import describe
        from optdriver.space.narrow import narrow_parts

        self._described: Mapping[str, Any] = describe(structure)
        named = structure.named
        self.names = (*named.free, *named.fixed, *named.dependent)
        self._known = frozenset(self.names)
        self.fixed = named.fixed
        self._narrow = narrow_parts(structure)
        for part, _, spacing in self._narrow:
            self.spacing[part], self.narrow[part] = spacing, True
        self._base = {}  # what `params` looks at first

    # -- the way to the driver and back ---------------------------------------------------

    @property
    def driver_bounds(self) -> FloatArray:
        """Bounds of the continuous parameters in the driver's coordinates, shape ``(n, 2)``."""
        return np.array(self.coordinates.bounds.T, order="C")

    def to_user(self, z: FloatArray) -> FloatArray:
        """Return the user's values of the continuous parameters for the driver's point `z`."""
        x = self.coordinates.to_user(z)
        return self.rounded(x) if self._narrow else x

    def rounded(self, x: FloatArray) -> FloatArray:
        """Return `x` with every number rounded to the type of its parameter."""
        for part, kind, _ in self._narrow:
            x[part] = x[part].astype(kind)
        return x

    def to_driver(self, x: FloatArray) -> FloatArray:
        """Return the driver's point for the values `x` of the continuous parameters."""
        return self.coordinates.to_driver(x)

    def inner(self, x: FloatArray) -> FloatArray:
        """Return `x` with the logarithms of those parameters that are seen by them."""
        return self.coordinates.inner(x)

    def slope(self, x: FloatArray) -> FloatArray:
        """Return the derivatives of the user's values by the driver's coordinates, at `x`."""
        return self.coordinates.slope(x)

    @quiet
    def gradient_to_driver(self, gradient: FloatArray, x: FloatArray) -> FloatArray:
        """Return the derivatives at `x` by the driver's coordinates (chain rule).

        What is too large there becomes infinite, which the driver takes for a failure.
        """
        return self.coordinates.gradient_to_driver(gradient, x)

    # -- names and vectors ----------------------------------------------------------------

    def params(self, x: FloatArray) -> Any:
        """Return all parameters by name, fixed ones too, in the order of the domain.

        Where there is a structure they have it, as NumPy's arrays and Python's numbers, with units.
        """
        if self._base is None:
            return dict(zip(self.free, x.tolist(), strict=True))
        if self.structure is not None:
            return self.structure.params(x)
        params = self._base.copy()
        params.update(zip(self.free, x.tolist(), strict=True))
        return params

    @property
    def handed(self) -> str:
        """How an objective gets the parameters: ``'name'``, ``'position'``, ``'whole'``."""
        return "name" if self.structure is None else self.structure.handed

    def numbers(self, x: FloatArray) -> dict[str, float]:
        """Return all numbers by name: `params`, without structure, units and texts."""
        if self.structure is None:
            named: dict[str, float] = self.params(x)
            return named
        return self.structure.numbers(x)

    def gradient(self, given: Any, x: FloatArray, unit: Unit | None = None) -> FloatArray | None:
        """Return derivatives at `x` that have the structure of the parameters as a vector.

        None where they are none, but a vector, or by the names of the numbers.  `unit` is that of
        the objective.
        """
        structure = self.structure
        if structure is None or is_vector(given, self.size):
            return None
        given = structure.around(given)
        try:
            return structure.flatten_gradient(given, x, unit)
        except InputError:
            if isinstance(given, Mapping) and all(name in self for name in given):
                return None
            raise

    def carried_on(self, given: Mapping[str, Any], x: FloatArray) -> FloatArray | float:
        """Return what derivatives by dependent parameters, by name, add to those of the others."""
        if self.structure is None:
            return 0.0
        return self.structure.pulled_back(given, x)

    def vector(self, values: Any) -> FloatArray:
        """Return the vector of the continuous parameters for `values` given by name or in order.

        Parameters
        ----------
        values : mapping, sequence or structure
            By name (fixed parameters may be there, with their value), or the continuous
            parameters in the order of the domain, or what has the structure of the parameters.

        Raises
        ------
        InputError
            If one is missing, unknown, not a number, or outside its bounds.
        """
        if self.structure is not None:
            return self._of_structure(self.structure, values)
        read: Any = self._by_name if isinstance(values, Mapping) else self._in_order
        listed = read(values)
        x = np.array(
            [_number(v, f"parameter {n!r}") for n, v in zip(self.free, listed, strict=True)]
        )
        self._check_inside(x)
        return x

    def _of_structure(self, structure: Structure, values: Any) -> FloatArray:
        if is_vector(values, self.size):
            x = real_vector("a point", values, self.size).copy()
        else:
            try:
                x = structure.flatten(structure.around(values))
            except InputError:
                if not isinstance(values, Mapping) or not all(name in self for name in values):
                    raise
                x = np.array([float(value) for value in self._by_name(values)])
        self._check_inside(x)
        return self.rounded(x)

    def _by_name(self, values: Mapping[str, Any]) -> list[Any]:
        for name in values:
            if name not in self:
                raise unknown_option("parameter", name, self.names)
        for name, value in self.fixed.items():
            if name in values and _number(values[name], f"parameter {name!r}") != value:
                raise InputError(
                    f"parameter {name!r} is fixed at {value!r}, and cannot be {values[name]!r}"
                )
        missing = [name for name in self.free if name not in values]
        if missing:
            raise InputError(f"no value for parameter {missing[0]!r}; given: {list(values)}")
        return [values[name] for name in self.free]

    def _in_order(self, values: Sequence[Any] | FloatArray) -> list[Any]:
        if not is_listed(values):
            raise InputTypeError(
                f"a point is a sequence of {self.size} numbers or a dictionary by name, "
                f"not {values!r}"
            )
        listed = list(values)
        if len(listed) != self.size:
            raise InputError(
                f"{len(listed)} values for {self.size} continuous parameters "
                f"({_listed(self.free)}): {short(listed)}"
            )
        return listed

    def _check_inside(self, x: FloatArray) -> None:
        for i in np.flatnonzero(~((x >= self.lower) & (x <= self.upper))):
            raise InputError(
                f"parameter {self.free[i]!r} is {x[i]}, outside its domain "
                f"[{self.lower[i]}, {self.upper[i]}]"
            )

    # -- records --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the space as strings and numbers."""
        data = {"domain": [entry.to_dict() for entry in self.entries], "scale": self.scaled}
        return data if self.structure is None else data | {"structure": self._described}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Space:
        """Return the space that `to_dict` described."""
        with stored.restoring("space"):
            space = cls(data["domain"], scale=stored.flag("scale", data["scale"]))
            if "structure" in data:
                space._restructure(data["structure"])
            return space

    def _restructure(self, data: Mapping[str, Any]) -> None:
        """Give the numbers the structure that was described."""
        from optdriver.space.description import Rebuilt

        made = Rebuilt(stored.mapping("structure", data), self.lower, self.upper, self.log)
        self._set(structure_entries(made.structure), made.structure, self.scaled)
        self._described, self.plain = data, tuple(made.plain)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.structure is not None:
            return _with_structure, (self.entries, self.structure, self.scaled, self._described)
        return Space.from_dict, (self.to_dict(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        if self.structure is not None or other.structure is not None:
            return self.to_dict() == other.to_dict()
        return self.entries == other.entries and self.scaled == other.scaled

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        if self.structure is not None:
            return f"Space of the structure {self.structure!r}"
        shown = {e.name: e.value if e.fixed else (e.lower, e.upper) for e in self.entries}
        return f"Space({shown!r})"


def structure_of(
    domain: Any, environment: Any = None, positions: Sequence[str] = ()
) -> Structure | None:
    """Return the structure of a domain, None where it is names with a number each."""
    if isinstance(domain, Space):
        if domain.structure is not None and environment is not None:
            raise InputError("environment= is given with the structure that a space is made of")
        return domain.structure
    if not is_structured(domain):
        return None
    from optdriver.space.pytree import Structure

    if isinstance(domain, list | tuple) and all(
        isinstance(entry, Parameter | Mapping) and "name" in _entry(entry) for entry in domain
    ):
        domain = _named(map(_entry, domain))
    if isinstance(domain, Mapping) and "study" in domain:
        _name("study")
    if environment is not None:
        if not isinstance(domain, Mapping):
            raise InputError(
                "environment= adds parameters by name: it goes with a dictionary of bounds"
            )
        domain = {**domain, **{each.name: each.value for each in _environment(environment)}}
    structure = Structure(domain, positions=positions)
    from optdriver.space.narrow import representable

    kinds = {leaf.path: leaf.dtype or np.dtype(np.float64) for leaf in structure.leaves}
    return structure.with_sides(*representable(structure, lambda leaf: kinds[leaf.path]))


def _entry(entry: Any) -> Mapping[str, Any]:
    return entry.to_dict() if isinstance(entry, Parameter) else entry


def _named(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for entry in entries:
        name = _name(entry["name"])
        if name in named:
            raise InputError(f"parameter {name!r} is given twice")
        named[name] = {key: value for key, value in entry.items() if key != "name"}
    return named


def structure_entries(structure: Structure) -> list[Parameter]:
    """Return the numbers of a structure as parameters."""
    sides = zip(
        structure.names,
        structure.lower.tolist(),
        structure.upper.tolist(),
        structure.log.tolist(),
        strict=True,
    )
    return [Parameter(name, low, high, log=log) for name, low, high, log in sides]


def _with_structure(
    entries: Sequence[Parameter],
    structure: Structure,
    scaled: bool,
    described: Mapping[str, Any] | None = None,
) -> Space:
    """Return the space of a structure: how one is unpickled."""
    space = object.__new__(Space)
    space._set(entries, structure, scaled)
    if described is not None:
        space._described = described
    return space


def is_vector(values: Any, n: int) -> bool:
    """Return whether values are n numbers in a row, with no structure about them."""
    if isinstance(values, list | tuple):
        return len(values) == n and all(isinstance(v, int | float | np.number) for v in values)
    shape = getattr(values, "shape", None)
    return shape is not None and tuple(shape) == (n,) and not is_quantity(values)


def _parameters(domain: Any) -> list[Parameter]:
    if isinstance(domain, Space):
        return list(domain.entries)
    if isinstance(domain, Mapping):
        return [_from_value(name, value) for name, value in domain.items()]
    if not is_listed(domain):
        raise InputTypeError(
            "a domain is a dictionary {'x1': (lo, hi), ...}, a list of entries "
            f"{{'name', 'type', 'domain'}}, or a Space; given: {domain!r}"
        )
    return [_from_entry(entry) for entry in domain]


def _environment(environment: Any) -> list[Parameter]:
    if environment is None:
        return []
    parameters = _parameters(environment)
    for parameter in parameters:
        if not parameter.fixed:
            raise InputError(
                f"environment parameter {parameter.name!r} must have a fixed value; "
                "give a range in the domain instead"
            )
    return parameters


def _from_value(name: Any, value: Any) -> Parameter:
    if isinstance(value, Mapping):
        return _from_entry({"name": name, **value})
    if _is_pair(value):
        return _continuous(_name(name), value)
    if isinstance(value, list | tuple):
        raise InputTypeError(
            f"parameter {name!r} must be a pair (lower, upper) or one fixed number, not {value!r}"
        )
    return _fixed(_name(name), value)


def _from_entry(entry: Any) -> Parameter:
    if isinstance(entry, Parameter):
        return entry
    if not isinstance(entry, Mapping):
        raise InputTypeError(
            f"an entry of the domain is a dictionary with 'name', 'type', 'domain', not {entry!r}"
        )
    for key in entry:
        if key not in _KEYS:
            raise unknown_option("key in a domain entry", key, _KEYS)
    for key in ("name", "domain"):
        if key not in entry:
            raise InputError(f"a domain entry needs {key!r}; given: {dict(entry)!r}")
    name = _name(entry["name"])
    scale = entry.get("scale", "linear")
    if scale not in _SCALES:
        raise unknown_option(f"scale of parameter {name!r}:", str(scale), _SCALES)
    if _kind(entry.get("type", "continuous"), name) == "continuous":
        return _continuous(name, entry["domain"], log=scale == "log")
    return _fixed(name, entry["domain"])


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise InputTypeError(f"a parameter's name is a string, not {name!r}")
    if not name.strip():
        raise InputError("a parameter's name must not be empty")
    if name == "study":
        raise InputError(
            "a parameter cannot be called 'study': "
            "the objective receives the study itself under that name"
        )
    return name


def _kind(kind: Any, name: str) -> str:
    if not isinstance(kind, str):
        raise InputTypeError(f"the type of parameter {name!r} is a string, not {kind!r}")
    lowered = kind.lower()
    if lowered in _REFUSED:
        raise InputError(
            f"parameter {name!r} is {_REFUSED[lowered]}: this driver follows gradients, which such "
            "a parameter does not have; make it 'fixed' and run one study a value, "
            "or 'continuous' if values between make sense"
        )
    if lowered not in _KINDS:
        raise unknown_option(f"type of parameter {name!r}:", kind, _KINDS)
    return lowered


def _continuous(name: str, domain: Any, *, log: bool = False) -> Parameter:
    if not _is_pair(domain):
        raise InputTypeError(
            f"continuous parameter {name!r} has a pair [lower, upper] as its domain, "
            f"not {domain!r}; for a constant use type 'fixed'"
        )
    lower, upper = domain
    low = -math.inf if lower is None else _number(lower, f"lower bound of {name!r}", finite=False)
    high = math.inf if upper is None else _number(upper, f"upper bound of {name!r}", finite=False)
    if low > high:
        raise InputError(f"the bounds of parameter {name!r} are crossed: [{low}, {high}]")
    if low == math.inf or high == -math.inf:
        raise InputError(f"parameter {name!r} has no finite value between {low} and {high}")
    if log and low <= 0.0:
        raise InputError(
            f"parameter {name!r} is logarithmic, and its lower bound is {low}: it must be above 0 "
            "(use 'scale': 'linear' where 0 or negative values are meant)"
        )
    return Parameter(name, low, high, log=log)


def _fixed(name: str, value: Any) -> Parameter:
    number = _number(value, f"the value of fixed parameter {name!r}")
    return Parameter(name, value=int(value) if isinstance(value, Integral) else number)


def _is_pair(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.shape == (2,))
    return isinstance(value, list | tuple) and len(value) == 2


def _number(value: Any, what: str, *, finite: bool = True) -> float:
    number = real_number(what, value)
    if math.isnan(number) or (finite and math.isinf(number)):
        raise InputError(
            f"{what} must be finite, not {number}" if finite else f"{what} must not be NaN"
        )
    return number


def _check_names(entries: Sequence[Parameter]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise InputError(f"parameter {entry.name!r} is given twice")
        seen.add(entry.name)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown}, ... {names[-1]}"
