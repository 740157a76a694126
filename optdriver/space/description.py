"""A structure as data that a file can hold: containers, keys, shapes, types, units, formulas.

Sides are not there: they are those of the parameters of the space.  What comes back are lists,
tuples, dictionaries and named tuples of the same fields; registered classes come back as tuples,
and units as far as their library knows their names.  Nothing is unpickled or executed.
"""

from __future__ import annotations

import math
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optdriver import stored
from optdriver.errors import InputError, OptDriverError
from optdriver.space.nodes import (
    Branch,
    Dependent,
    Fixed,
    Leaf,
    Node,
    Vector,
    in_words,
)
from optdriver.space.pytree import Structure
from optdriver.space.units import Unit, number_of, unit_of

if TYPE_CHECKING:
    from optdriver.formulas.syntax import Node as Formula

DEEPEST: Final = 100
"""Containers in each other."""

_LIBRARIES: Final = ("saiunit", "brainunit", "pint")


def describe(structure: Structure) -> dict[str, Any]:
    """Return a structure as strings, numbers and lists."""
    return {"positions": list(structure.positions), "root": _described(structure.root)}


def _described(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        kind = None if node.dtype is None else node.dtype.name
        return {"shape": list(node.shape), "dtype": kind, "unit": describe_unit(node.unit)}
    if isinstance(node, Fixed):
        return {"fixed": _value(node.value)}
    if isinstance(node, Dependent):
        return {"formula": node.text}
    return {
        "container": _container(node),
        "label": node.label,
        "keys": [_key(key) for key in node.keys],
        "children": [_described(child) for child in node.children],
    }


def _container(node: Branch) -> str:
    if node.kind in (list, tuple):
        return node.kind.__name__
    if issubclass(node.kind, Mapping):
        return "dict"
    return "named tuple" if issubclass(node.kind, tuple) else "pytree"


def _key(key: Any) -> Any:
    """Return a key as text or whole number; others, which no file holds, as what they look like."""
    return key if type(key) in (str, int) else {"key": repr(key)}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    numbers = np.asarray(number_of(value))
    if type(value) in (int, float):
        return value
    held = numbers
    if numbers.dtype == np.longdouble:
        held = numbers.astype(np.float64)
        if np.any(held != numbers):
            raise InputError(
                f"a fixed value is {numbers} of the type {numbers.dtype}, which has more digits "
                "than a file holds: give it in double precision"
            )
    return {
        "numbers": held.tolist(),
        "dtype": numbers.dtype.name,
        "shape": list(numbers.shape),
        "unit": describe_unit(unit_of(value)),
    }


def describe_unit(unit: Unit | None) -> dict[str, str] | None:
    """Return a unit as the name of its library and its own."""
    if unit is None:
        return None
    library = unit.kind.__module__.partition(".")[0]
    return {"library": library, "unit": f"{unit.unit:D}" if library == "pint" else str(unit)}


def shown(described: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands where in a structure, in words, to be compared with another."""
    found = {"names by position": ", ".join(described["positions"]) or "none"}

    def show(data: Mapping[str, Any], path: tuple[Any, ...]) -> None:
        if "container" in data:
            words = f"{data['container']} {data['label']}".rstrip()
            found[f"the container {in_words(path)}" if path else "the container"] = words
            for key, child in zip(data["keys"], data["children"], strict=True):
                show(child, (*path, key["key"] if isinstance(key, Mapping) else key))
        elif data != _PLAIN:
            found[f"parameter {in_words(path)}"] = ", ".join(f"{k} {v}" for k, v in data.items())

    show(described["root"], ())
    return found


_PLAIN: Final[dict[str, Any]] = {"shape": [], "dtype": None, "unit": None}
"""What is said of a mere number."""


# -- back ---------------------------------------------------------------------------------------


class Rebuilt:
    """What is made of a description, and what could not be made as it was.

    Parameters
    ----------
    data : mapping
        Of `describe`.
    lower, upper : ndarray, shape (n,)
    log : ndarray of bool, shape (n,)

    Attributes
    ----------
    structure : Structure
    plain : list of str
        What came back otherwise than it was given, in words.
    """

    def __init__(self, data: Mapping[str, Any], lower: Vector, upper: Vector, log: Any) -> None:
        self.plain: list[str] = []
        self._sides, self._at = (lower, upper, log), 0
        with stored.restoring("structure of parameters"):
            root = self._node(data["root"], ())
            positions = [stored.text("positions", each) for each in data["positions"]]
            if self._at != len(lower):
                raise ValueError(f"it has {self._at} numbers for {len(lower)} parameters")
            self.structure = Structure.of(root, positions)

    def _node(self, data: Any, path: tuple[Any, ...]) -> Node:
        if len(path) > DEEPEST:
            raise ValueError("containers are nested too deeply")
        stored.mapping("structure", data)
        if "container" in data:
            return self._branch(data, path)
        if "fixed" in data:
            return Fixed(path=path, value=self._value(data["fixed"], path))
        if "formula" in data:
            return Dependent(path=path, text=stored.text("formula", data["formula"]))
        return self._leaf(data, path)

    def _leaf(self, data: Mapping[str, Any], path: tuple[Any, ...]) -> Leaf:
        shape = tuple(stored.whole("shape", size) for size in data["shape"])
        size = math.prod(shape)
        if self._at + size > len(self._sides[0]):
            raise ValueError(f"{in_words(path)} has {size} numbers, and so many are not there")
        part = slice(self._at, self._at + size)
        low, high, log = (side[part] for side in self._sides)
        if np.any(log != (size > 0 and bool(log[0]))):
            raise ValueError(f"{in_words(path)} is partly logarithmic")
        self._at += size
        return Leaf(
            path=path,
            shape=shape,
            dtype=self._dtype(data["dtype"], path),
            unit=self._unit(data["unit"], path),
            low=low.reshape(shape),
            high=high.reshape(shape),
            log=bool(size and log[0]),
        )

    def _branch(self, data: Mapping[str, Any], path: tuple[Any, ...]) -> Branch:
        container = stored.one_of(
            "container", data["container"], ("dict", "list", "tuple", "named tuple", "pytree")
        )
        keys = [self._key(key) for key in data["keys"]]
        if len(keys) != len(data["children"]):
            raise ValueError("a container has not as many keys as children")
        if len(set(keys)) != len(keys):
            raise ValueError("a container has a key twice")
        children = tuple(
            self._node(child, (*path, key))
            for key, child in zip(keys, data["children"], strict=True)
        )
        label = stored.text("label", data["label"])
        made = tuple(keys), children
        if container == "dict":
            return Branch(*made, _Dictionary(tuple(keys)), dict)
        if container == "named tuple":
            named = _named_tuple(label, keys)
            return Branch(*made, _Named(named), named, label)
        if container == "pytree":
            self.plain.append(f"{in_words(path)} was of the class {label}, and is a tuple")
            return Branch(*made, tuple, tuple if path else _Whole, label)
        kind: type = list if container == "list" else tuple
        return Branch(*made, kind, kind)

    @staticmethod
    def _key(key: Any) -> Any:
        if isinstance(key, Mapping):
            return stored.text("key", key["key"])
        return key if type(key) is int else stored.text("key", key)

    def _value(self, data: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(data, str) or type(data) in (int, float):
            return data
        kind = self._dtype(data["dtype"], path, "fiu")
        shape = tuple(stored.whole("shape", size) for size in data["shape"])
        numbers = np.array(data["numbers"], dtype=kind)
        if numbers.shape != shape or numbers.dtype.kind not in "fiuV":
            raise ValueError(f"the fixed value of {in_words(path)} has not the shape {shape}")
        unit = self._unit(data["unit"], path)
        value = numbers if shape else numbers[()]
        return value if unit is None else unit.attach(value)

    def _dtype(self, name: Any, path: tuple[Any, ...], kinds: str = "f") -> Any:
        """Return a type of numbers: NumPy's, or a short one of ml_dtypes."""
        if name is None:
            return None
        if not re.fullmatch(r"[a-z]\w{2,30}", stored.text("dtype", name)):
            raise ValueError(f"{in_words(path)} has numbers of the type {name[:40]!r}")
        if re.fullmatch(r"u?int\d+|float(16|32|64|96|128)|longdouble", name):
            found = np.dtype(name)
            if found.kind not in kinds:
                raise ValueError(f"{in_words(path)} has numbers of the type {name}")
            return found
        if re.fullmatch(r"bfloat16|float\d+_\w+", name):
            with suppress(ImportError, AttributeError):
                return np.dtype(getattr(import_module("ml_dtypes"), name))
        self.plain.append(f"the type of {in_words(path)} was {name}, and is float64")
        return None

    def _unit(self, data: Any, path: tuple[Any, ...]) -> Unit | None:
        if data is None:
            return None
        library, text = stored.text("library", data["library"]), stored.text("unit", data["unit"])
        found = rebuilt_unit(library, text)
        if found is None:
            self.plain.append(f"{in_words(path)} was in {text} ({library}), and is a plain number")
        return found


class _Whole(tuple[Any, ...]):
    """A tuple that is handed over as one argument."""

    __slots__ = ()


class _Dictionary:
    """Makes a dictionary of its values."""

    def __init__(self, keys: tuple[Any, ...]) -> None:
        self._keys = keys

    def __call__(self, made: Sequence[Any]) -> dict[Any, Any]:
        return dict(zip(self._keys, made, strict=True))


class _Named:
    """Makes a named tuple of its values."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __call__(self, made: Sequence[Any]) -> Any:
        return self._kind(*made)


def _named_tuple(label: str, fields: Sequence[Any]) -> Any:
    """Return a class of named tuples which goes to other processes with its fields."""
    for name in (label, *fields):
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
            raise ValueError(f"a named tuple cannot have the name {name!r}")
    make: Any = namedtuple
    kind = make(label, fields)
    kind.__reduce__ = lambda self: (_remade, (label, tuple(fields), tuple(self)))
    return kind


def _remade(label: str, fields: Sequence[str], values: Sequence[Any]) -> Any:
    return _named_tuple(label, fields)(*values)


def rebuilt_unit(library: str, text: str) -> Unit | None:
    """Return the unit of that name in a library; None where it is not known there.

    The text is read by the grammar of formulas, since Pint's own reader computes the powers of
    numbers that somebody has put there, however large.
    """
    if library not in _LIBRARIES:
        return None
    from optdriver.formulas.parser import parse  # which studies without units do without

    try:
        module: Any = import_module(library)
        if library == "pint":
            registry = module.get_application_registry()
            kind, known, one = registry.Quantity, registry.Unit, registry.dimensionless
        else:
            units = {
                str(unit): unit for unit in vars(module).values() if isinstance(unit, module.Unit)
            }
            kind, known, one = module.Quantity, units.__getitem__, module.UNITLESS
        return Unit(kind, _product(parse(text).operands[0], known, one))
    except (
        ImportError,
        OptDriverError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):
        return None


def _product(node: Formula, known: Callable[[str], Any], one: Any) -> Any:
    """Return a product of powers of units."""
    from optdriver.formulas.syntax import Name, Number, Power, Product

    match node:
        case Name(name):
            return known(name)
        case Number(1.0):
            return one
        case Power(base, Number(exponent)):
            whole = int(exponent) if exponent.is_integer() else exponent
            return _product(base, known, one) ** whole
        case Product(factors):
            made = _product(factors[0][1], known, one)
            for sign, factor in factors[1:]:
                other = _product(factor, known, one)
                made = made * other if sign == "*" else made / other
            return made
        case _:
            raise InputError("no product of units")
