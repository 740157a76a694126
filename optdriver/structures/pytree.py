"""Structured parameters and the vector that a minimizer sees.

A structure is read from bounds: containers (lists, tuples, named tuples, dictionaries, and what
else JAX knows as a pytree) whose leaves are pairs ``(low, high)``.  Containers are walked here, in
their own order, so that nothing of this needs JAX and dictionaries keep the order of their keys.
"""

from __future__ import annotations

import math
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError
from optdriver.structures.units import Unit, is_quantity, number_in, number_of, unit_of

Vector = NDArray[np.float64]
Build = Callable[["Leaf", Any], Any]


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

    Examples
    --------
    >>> Structure({"W": Interval(-1, 1, shape=(3, 2)), "b": Interval([0, 0], [1, 2])}).n
    8
    """

    low: Any
    high: Any
    shape: tuple[int, ...] | None = None
    dtype: Any = None


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
    """

    path: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    unit: Unit | None
    low: Vector
    high: Vector
    first: int = 0

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """Its path in words, as in ``layer.w`` or ``[0]``."""
        text = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in self.path)
        return text.removeprefix(".") or "the parameter"


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """A container: its children in order, their keys, and how it is made of new ones."""

    keys: tuple[Any, ...]
    children: tuple[Any, ...]
    make: Callable[[list[Any]], Any]
    kind: type


class Structure:
    """The structure of parameters, read from bounds.

    Parameters
    ----------
    bounds : pytree of pairs
        See `optdriver.Minimizer`.
    like : pytree, optional
        Parameters whose arrays give shapes to pairs of numbers.

    Attributes
    ----------
    leaves : tuple of Leaf
    n : int
        The length of the vector.
    lower, upper : ndarray, shape (n,)
        The box.

    Raises
    ------
    InputError
        Something in the bounds is no pair, or a pair cannot be one.

    Examples
    --------
    >>> structure = Structure({"w": (np.zeros(2), 1.0), "b": (-1, 1)})
    >>> structure.lower.tolist(), structure.names
    ([0.0, 0.0, -1.0], ('w_0', 'w_1', 'b'))
    >>> structure.build(np.array([0.25, 0.5, 0.75]))
    {'w': array([0.25, 0.5 ]), 'b': 0.75}
    """

    def __init__(self, bounds: Any, like: Any = None) -> None:
        self._root = _read(bounds, ())
        if like is not None:
            self._root = _shaped(self._root, like)
        self._root = _numbered(self._root)
        self.leaves = tuple(_leaves(self._root))
        self.n = sum(leaf.size for leaf in self.leaves)
        if not self.n:
            raise InputError("bounds are empty: at least one pair (low, high) is needed")
        self.lower = np.concatenate([leaf.low.ravel() for leaf in self.leaves])
        self.upper = np.concatenate([leaf.high.ravel() for leaf in self.leaves])

    # -- vector and parameters ----------------------------------------------------------------

    def build(self, vector: Any, make: Build | None = None) -> Any:
        """Return the parameters of a vector.

        Parameters
        ----------
        vector : array, shape (n,)
            A traced one too.
        make : callable, optional
            ``make(leaf, numbers)`` returns the leaf of its numbers, which have its shape; by
            default NumPy arrays and numbers, without units.
        """
        made = _as_numpy if make is None else make

        def fill(node: Any) -> Any:
            if isinstance(node, Branch):
                return node.make([fill(child) for child in node.children])
            part = vector[node.first : node.first + node.size].reshape(node.shape)
            return made(node, part)

        return fill(self._root)

    def flatten(self, params: Any) -> Vector:
        """Return the vector of parameters; quantities in the units of the structure.

        Raises
        ------
        InputError
            They have another structure, shape or unit.
        """
        vector = np.empty(self.n)
        for leaf, value in _matched(self._root, params):
            numbers = number_in(value, leaf.unit, leaf.name)
            try:
                part = np.asarray(numbers, dtype=np.float64)
                vector[leaf.first : leaf.first + leaf.size] = np.broadcast_to(
                    part, leaf.shape
                ).ravel()
            except (TypeError, ValueError):
                raise InputError(
                    f"{leaf.name} needs numbers of shape {leaf.shape}, not {value!r}"
                ) from None
        return vector

    def call(self, function: Callable[..., Any], params: Any, *further: Any) -> Any:
        """Call a function with parameters: by position, by name, or as one argument."""
        positional, named = self.arguments(params)
        return function(*positional, *further, **named)

    def arguments(self, params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments, by position and by name, as which parameters are handed over.

        The members of a list or a tuple are handed over by position, those of a dictionary by
        name, and all else as one argument.
        """
        kind = self._root.kind if isinstance(self._root, Branch) else None
        if kind in (list, tuple):
            return tuple(params), {}
        if isinstance(params, Mapping):
            return (), dict(params)
        return (params,), {}

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number of the vector, such as ``layer_w_0_1``."""
        return self.names_for(())

    def names_for(self, positions: Sequence[str]) -> tuple[str, ...]:
        """Return the names; of what is handed over by position they are those in `positions`."""
        listed = isinstance(self._root, Branch) and self._root.kind in (list, tuple)
        names = list[str]()
        for leaf in self.leaves:
            path = leaf.path
            if listed:
                i = path[0]
                path = (positions[i] if i < len(positions) else f"x{i + 1}", *path[1:])
            stem = [re.sub(r"\W", "_", str(key)) for key in path] or [*positions[:1], "x"][:1]
            names += ["_".join((*stem, *map(str, i))) for i in np.ndindex(leaf.shape)]
        return tuple(names)

    def where(self, i: int) -> str:
        """Say which number of which parameter has the index `i` in the vector."""
        for leaf in self.leaves:
            if i < leaf.first + leaf.size:
                break
        place = np.unravel_index(i - leaf.first, leaf.shape)
        return leaf.name + (f"[{', '.join(map(str, map(int, place)))}]" if leaf.shape else "")

    def with_sides(self, lower: Vector, upper: Vector) -> Structure:
        """Return the same structure with another box."""
        other = object.__new__(Structure)
        other.__dict__ = self.__dict__ | {"lower": lower, "upper": upper}
        return other


def _as_numpy(leaf: Leaf, numbers: Any) -> Any:
    typed = numbers.astype(np.float64 if leaf.dtype is None else leaf.dtype)
    return typed if leaf.shape else typed[()].item() if leaf.dtype is None else typed[()]


# -- reading bounds -----------------------------------------------------------------------------


def _read(node: Any, path: tuple[Any, ...]) -> Branch | Leaf:
    if isinstance(node, Interval):
        return _leaf(_array(node.low), _array(node.high), path, node.shape, node.dtype)
    if _is_pair(node, path):
        return _leaf(node[0], node[1], path)
    if hasattr(node, "lb") and hasattr(node, "ub"):  # scipy.optimize.Bounds
        return _leaf(np.asarray(node.lb), np.asarray(node.ub), path)
    branch = _branch(node)
    if branch is None:
        raise InputTypeError(
            f"bounds{_at(path)} are {node!r}; expected a pair (low, high), or a list, tuple or "
            "dictionary of pairs"
        )
    children = [_read(c, (*path, k)) for k, c in zip(branch.keys, branch.children, strict=True)]
    return replace(branch, children=tuple(children))


def _is_pair(node: Any, path: tuple[Any, ...]) -> bool:
    """Return whether a list or tuple is a pair: two sides, none of which is a container.

    Raises
    ------
    InputError
        It is neither a pair nor a container of pairs.
    """
    if type(node) not in (list, tuple):
        return False
    sides = [_is_side(part) for part in node]
    if not any(sides):
        return False
    if all(sides) and len(sides) == 2:
        return True
    raise InputError(
        f"bounds{_at(path)} are {node!r}, neither a pair (low, high) nor a container of pairs: "
        "write (low, high) for each parameter, or optdriver.Interval(low, high) where a side is a "
        "nested list"
    )


def _is_side(value: Any) -> bool:
    if value is None or is_quantity(value):
        return True
    if isinstance(value, str | bytes | bool | np.bool_):
        return False
    return isinstance(value, int | float | np.number | np.ndarray) or _is_jax_array(value)


def _is_jax_array(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _array(side: Any) -> Any:
    return np.asarray(side) if isinstance(side, list | tuple) else side


def _at(path: tuple[Any, ...]) -> str:
    return f" at {_name(path)}" if path else ""


def _name(path: tuple[Any, ...]) -> str:
    return "".join(f"[{k!r}]" for k in path)


def _leaf(low: Any, high: Any, path: tuple[Any, ...], shape: Any = None, dtype: Any = None) -> Leaf:
    what = f"bounds{_at(path)}"
    unit = unit_of(low) or unit_of(high)
    sides = [_side(low, -math.inf, unit, what), _side(high, math.inf, unit, what)]
    try:
        common = np.broadcast_shapes(*(side.shape for side in sides))
        common = common if shape is None else tuple(int(k) for k in np.atleast_1d(shape))
        lower, upper = (np.array(np.broadcast_to(side, common)) for side in sides)
    except ValueError:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise InputError(
            f"{what} have sides of the shapes {shapes}"
            + (", which do not go together" if shape is None else f", and shape={shape}")
        ) from None
    wrong = ~(lower <= upper)
    if np.any(wrong):
        worst = tuple(np.argwhere(wrong)[0])
        raise InputError(f"{what} need low <= high, not ({lower[worst]}, {upper[worst]})")
    if np.any(lower == math.inf) or np.any(upper == -math.inf):
        raise InputError(f"{what} leave nothing: low is +inf, or high is -inf")
    kind = _dtype(low, high) if dtype is None else np.dtype(dtype)
    _check_dtype(kind, what)
    return Leaf(path=path, shape=common, dtype=kind, unit=unit, low=lower, high=upper)


def _side(value: Any, missing: float, unit: Unit | None, what: str) -> Vector:
    if value is None:
        return np.array(missing)
    free = not is_quantity(value) and np.ndim(value) == 0 and abs(value) == math.inf
    number = value if free else number_in(value, unit, what)
    try:
        if np.iscomplexobj(number):
            raise TypeError("complex")
        return np.asarray(number, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(f"{what} need real numbers, not {value!r}") from None


def _dtype(low: Any, high: Any) -> Any:
    """Return the type of arrays and NumPy numbers; None where there are Python's numbers only."""
    known = [
        np.dtype(number.dtype)
        for number in (number_of(low), number_of(high))
        if hasattr(number, "dtype") and not np.issubdtype(number.dtype, np.integer)
    ]
    return np.result_type(*known) if known else None


def _check_dtype(kind: Any, what: str) -> None:
    if kind is not None and kind.kind not in "fV":  # V: the short ones of ml_dtypes
        raise InputTypeError(f"{what} are of type {kind}; parameters are floating-point numbers")


def _branch(node: Any) -> Branch | None:
    """Return the container as a branch with its raw children, or None for what is none."""
    if isinstance(node, Mapping):
        keys = tuple(node)
        kind = type(node)
        return Branch(keys, tuple(node.values()), _Remake(kind, keys), kind)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        named = type(node)
        return Branch(tuple(node._fields), tuple(node), lambda made: named(*made), named)
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
    keys = tuple(range(len(children)))
    return Branch(keys, tuple(children), lambda made: jax.tree.unflatten(definition, made), object)


# -- walking ------------------------------------------------------------------------------------


def _leaves(node: Branch | Leaf) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
        return
    for child in node.children:
        yield from _leaves(child)


def _numbered(root: Branch | Leaf) -> Branch | Leaf:
    """Give each leaf its place in the vector."""
    places = 0

    def number(node: Branch | Leaf) -> Branch | Leaf:
        nonlocal places
        if isinstance(node, Branch):
            return replace(node, children=tuple(number(child) for child in node.children))
        first, places = places, places + node.size
        return replace(node, first=first)

    return number(root)


def _matched(node: Branch | Leaf, params: Any) -> Iterator[tuple[Leaf, Any]]:
    """Yield every leaf with its value in `params`."""
    if isinstance(node, Leaf):
        if not is_quantity(params) and isinstance(params, Mapping | tuple | list | str):
            raise InputError(f"{node.name} needs a number or an array, not {params!r}")
        yield node, params
        return
    given = _branch(params)
    same = given is not None and (given.kind is node.kind or node.kind in (list, tuple))
    if given is None or not same or set(given.keys) != set(node.keys):
        raise InputError(
            f"{params!r} does not have the structure of the bounds: {node.kind.__name__} with "
            f"{', '.join(map(str, node.keys))}"
        )
    values = dict(zip(given.keys, given.children, strict=True))
    for key, child in zip(node.keys, node.children, strict=True):
        yield from _matched(child, values[key])


def _shaped(root: Branch | Leaf, params: Any) -> Branch | Leaf:
    """Broadcast leaves to the shapes of arrays in `params`."""
    shapes = {leaf.path: np.shape(number_of(value)) for leaf, value in _matched(root, params)}

    def shape(node: Branch | Leaf) -> Branch | Leaf:
        if isinstance(node, Branch):
            return replace(node, children=tuple(shape(child) for child in node.children))
        wanted = shapes[node.path]
        if node.shape or not wanted:
            return node
        low, high = np.full(wanted, node.low), np.full(wanted, node.high)
        return replace(node, shape=wanted, low=low, high=high)

    return shape(root)
