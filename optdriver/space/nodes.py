"""What a structure is made of: containers, parameters, fixed values and formulas."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.space.units import Unit, is_quantity, number_of

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """A leaf of bounds, said in so many words: where a pair is ambiguous or has no shape.

    Attributes
    ----------
    low, high : float, array_like, quantity or None
        The sides; None or an infinite number where there is none.  Nested lists are arrays here.
    shape : tuple of int, optional
        The shape of the parameter, to which both sides are broadcast.
    dtype : dtype, optional
        Its type; otherwise that of the sides, if they are arrays of floating-point numbers.
    log : bool
        Whether minimizers see the logarithm; the low side is above 0 then.

    Examples
    --------
    >>> from optdriver.space.pytree import Structure
    >>> Structure({"W": Interval(-1, 1, shape=(3, 2)), "b": Interval([0, 0], [1, 2])}).n
    8
    """

    low: Any
    high: Any
    shape: tuple[int, ...] | None = None
    dtype: Any = None
    log: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Leaf:
    """One parameter: an array or a number, and its place in the vector.

    Attributes
    ----------
    path : tuple
        Keys and positions that lead to it.
    shape : tuple of int
    dtype : dtype or None
        The type it was given; None where bounds were mere numbers.
    unit : Unit or None
        The unit of its numbers in the vector.
    low, high : ndarray
        Its sides, float64, of its shape.
    first : int
        Where it begins in the vector.
    log : bool
        Whether minimizers see its logarithm.
    """

    path: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    unit: Unit | None
    low: Vector
    high: Vector
    first: int = 0
    log: bool = False

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """Its path in words, as in ``layer.w`` or ``[0]``."""
        return in_words(self.path)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fixed:
    """A value that is handed through: a number, an array, a quantity or a text."""

    path: tuple[Any, ...]
    value: Any

    @property
    def name(self) -> str:
        """Its path in words."""
        return in_words(self.path)

    @property
    def numbers(self) -> NDArray[Any] | None:
        """Its numbers, which formulas and constraints can name; None for a text."""
        return None if isinstance(self.value, str) else np.asarray(number_of(self.value))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dependent:
    """A number that a formula of other parameters gives; `index` is its place among these."""

    path: tuple[Any, ...]
    text: str
    index: int = 0

    @property
    def name(self) -> str:
        """Its path in words."""
        return in_words(self.path)


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A container: its children in order, their keys, how it is made of new ones, and its type.

    `label` names what is neither list, tuple nor mapping.
    """

    keys: tuple[Any, ...]
    children: tuple[Any, ...]
    make: Callable[[list[Any]], Any]
    kind: type
    label: str = ""


Node: TypeAlias = Branch | Leaf | Fixed | Dependent


def in_words(path: tuple[Any, ...]) -> str:
    """Return a path in words, as in ``layer.w`` or ``[0]``."""
    text = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)
    return text.removeprefix(".") or "the parameter"


def branch_of(node: Any) -> Branch | None:
    """Return the container as a branch with its raw children, or None for what is none."""
    if is_quantity(node):
        return None
    if isinstance(node, Mapping):
        keys = tuple(node)
        kind = type(node)
        return Branch(keys, tuple(node.values()), _Remake(kind, keys), kind)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        named = type(node)
        fields = tuple(node._fields)
        return Branch(fields, tuple(node), lambda made: named(*made), named, named.__name__)
    if isinstance(node, list | tuple):
        listed = type(node)
        return Branch(tuple(range(len(node))), tuple(node), listed, listed)
    return _registered(node)


@dataclass(frozen=True, slots=True)
class _Remake:
    """Make a mapping of the same kind and order of keys."""

    kind: type
    keys: tuple[Any, ...]

    def __call__(self, made: list[Any]) -> Any:
        pairs = dict(zip(self.keys, made, strict=True))
        if self.kind is dict or issubclass(self.kind, defaultdict):
            return pairs  # which would make up what is missing
        made_of: Any = self.kind
        return made_of(pairs)


def _registered(node: Any) -> Branch | None:
    """Return what JAX knows as a pytree, if JAX is there."""
    jax = sys.modules.get("jax")
    if jax is None or node is None or isinstance(node, str | bytes | np.ndarray):
        return None
    children, definition = jax.tree.flatten(node, is_leaf=lambda part: part is not node)
    if len(children) == 1 and children[0] is node:
        return None
    keys, label = tuple(range(len(children))), type(node).__qualname__

    def make(made: list[Any]) -> Any:
        return jax.tree.unflatten(definition, made)

    return Branch(keys, tuple(children), make, object, label)


def ends(node: Node) -> Iterator[Leaf | Fixed | Dependent]:
    """Yield what is no container, from left to right."""
    if not isinstance(node, Branch):
        yield node
        return
    for child in node.children:
        yield from ends(child)


def replaced(
    node: Node, change: Callable[[Leaf | Fixed | Dependent], Leaf | Fixed | Dependent]
) -> Node:
    """Return the tree with everything that is no container changed, from left to right."""
    if not isinstance(node, Branch):
        return change(node)
    return replace(node, children=tuple(replaced(child, change) for child in node.children))
