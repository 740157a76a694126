"""Structured parameters and the vector that a minimizer sees.

A structure is read from bounds (`optdriver.space.bounds`): containers (lists, tuples, named
tuples, dictionaries, and what else JAX knows as a pytree) whose leaves are pairs ``(low, high)``,
fixed values, and formulas.  Containers are walked here, in their own order, so that nothing of this
needs JAX and dictionaries keep the order of their keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optdriver.errors import InputError
from optdriver.space.bounds import read
from optdriver.space.nodes import (
    Branch,
    Dependent,
    Fixed,
    Interval,
    Leaf,
    Node,
    Vector,
    branch_of,
    ends,
    replaced,
)
from optdriver.space.units import Unit, is_quantity, number_in, number_of

if TYPE_CHECKING:
    from optdriver.space.dependents import Dependents

__all__ = ["Interval", "Leaf", "Structure", "Vector", "as_numpy", "with_unit"]

Build = Callable[[Leaf, Any], Any]

ONE_ARRAY: Final = "; the bounds of a single array are optdriver.Interval(lower, upper)"
"""What to say where something takes one argument and is handed several by position."""

AGREE = 1e-9
"""So near is a dependent number that is given to the one that its formula has."""

_PLACE = re.compile(
    r"(?<![\w.])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\s*\[\s*\d+\s*(?:,\s*\d+\s*)*\])+(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers of a structure are called: those of the vector, fixed and dependent ones."""

    free: tuple[str, ...]
    fixed: dict[str, float]
    dependent: tuple[str, ...]


class Structure:
    """The structure of parameters, read from bounds.

    Parameters
    ----------
    bounds : pytree of pairs
        See `optdriver.Minimizer`.
    like : pytree, optional
        Parameters whose arrays give shapes to pairs of numbers.
    positions : sequence of str
        The names of what is handed over by position: of the members of a list or tuple, or of a
        single parameter.

    Attributes
    ----------
    leaves : tuple of Leaf
    n : int
        The length of the vector.
    lower, upper : ndarray, shape (n,)
        The box.
    log : ndarray of bool, shape (n,)
        Which numbers minimizers see by their logarithm.

    Raises
    ------
    InputError
        Something in the bounds is no pair, or a pair cannot be one.

    Examples
    --------
    >>> structure = Structure({"w": (np.zeros(2), 1.0), "b": (-1, 1), "c": "w[0] + 2*b"})
    >>> structure.lower.tolist(), structure.names
    ([0.0, 0.0, -1.0], ('w_0', 'w_1', 'b'))
    >>> structure.build(np.array([0.25, 0.5, 0.75]))
    {'w': array([0.25, 0.5 ]), 'b': 0.75, 'c': 1.75}
    """

    def __init__(self, bounds: Any, like: Any = None, positions: Sequence[str] = ()) -> None:
        root = read(bounds)
        self._set(root if like is None else _shaped(root, like), positions)

    @classmethod
    def of(cls, root: Node, positions: Sequence[str] = ()) -> Structure:
        """Return the structure of a tree that was read already."""
        made = object.__new__(cls)
        made._set(root, positions)
        return made

    def _set(self, root: Node, positions: Sequence[str]) -> None:
        self.root = _numbered(root)
        self.positions = tuple(positions)
        self.leaves = tuple(end for end in ends(self.root) if isinstance(end, Leaf))
        self.n = sum(leaf.size for leaf in self.leaves)
        if not self.n:
            texts = [end.text for end in ends(self.root) if isinstance(end, Dependent)]
            hint = f" (the text {texts[0]!r} is a formula of other parameters)" if texts else ""
            raise InputError(f"bounds are empty: at least one pair (low, high) is needed{hint}")
        self.lower = np.concatenate([leaf.low.ravel() for leaf in self.leaves])
        self.upper = np.concatenate([leaf.high.ravel() for leaf in self.leaves])
        self.log = np.concatenate([np.full(leaf.size, leaf.log) for leaf in self.leaves])
        self._formulas = tuple(end for end in ends(self.root) if isinstance(end, Dependent))
        if self._formulas:
            self.dependents  # noqa: B018 - a formula that cannot be used is refused at once

    @cached_property
    def dependents(self) -> Dependents:
        """The numbers that formulas give."""
        from optdriver.space.dependents import Dependents  # which formulas alone need

        texts = [self.spaced(end.text) for end in self._formulas]
        named = dict(zip(self.named.dependent, texts, strict=True))
        return Dependents(named, self.named.free, self.named.fixed)

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
        made = as_numpy if make is None else make
        given = self.dependent_numbers(vector)

        def fill(node: Node) -> Any:
            if isinstance(node, Branch):
                return node.make([fill(child) for child in node.children])
            if isinstance(node, Fixed):
                return node.value
            if isinstance(node, Dependent):
                return given[node.index]
            part = vector[node.first : node.first + node.size].reshape(node.shape)
            return made(node, part)

        return fill(self.root)

    def params(self, vector: Vector) -> Any:
        """Return the parameters of a vector as users get them: NumPy's arrays, with units."""
        return self.build(vector, lambda leaf, part: with_unit(leaf, as_numpy(leaf, part)))

    def dependent_numbers(self, vector: Any) -> list[Any]:
        """Return what the formulas give at a vector, a traced one too."""
        if not self._formulas:
            return []
        if isinstance(vector, np.ndarray):
            return list(self.dependents.values(vector))
        return self.dependents.traced(vector)

    def flatten(self, params: Any) -> Vector:
        """Return the vector of parameters; quantities in the units of the structure.

        Fixed and dependent ones may be left out of dictionaries.

        Raises
        ------
        InputError
            They have another structure, shape or unit, or another number than the formula gives.
        """
        vector = np.empty(self.n)
        given: list[tuple[Dependent, Any]] = []
        for end, value in _matched(self.root, params):
            if isinstance(end, Dependent):
                given.append((end, value))
            elif isinstance(end, Fixed):
                _check_fixed(end, value)
            else:
                _put(vector, end, number_in(value, end.unit, end.name), value)
        for end, value in given:
            self._check_dependent(end, value, vector)
        return vector

    def _check_dependent(self, end: Dependent, value: Any, vector: Vector) -> None:
        wanted = self.dependents.values(vector)[end.index]
        try:
            same = abs(float(value) - wanted) <= AGREE * max(1.0, abs(wanted))
        except (TypeError, ValueError):
            same = False
        if not same and wanted == wanted:
            raise InputError(f"{end.name} is {end.text} = {wanted}, and cannot be {value!r}")

    def around(self, given: Any) -> Any:
        """Return an array of the shape of the only parameter as what has the structure.

        What is something else, or belongs to other parameters, is returned as it is.
        """
        alone = len(self.leaves) == 1 and not self._formulas and isinstance(self.root, Branch)
        if not alone or getattr(given, "shape", ()) != self.leaves[0].shape:
            return given
        if not hasattr(given, "shape") or isinstance(given, Mapping):
            return given
        return self.build(np.empty(self.n), lambda _leaf, _part: given)

    def flatten_gradient(self, gradient: Any, vector: Vector, loss: Unit | None = None) -> Vector:
        """Return the derivatives by the vector, of derivatives with the structure of parameters.

        Parameters
        ----------
        gradient : pytree
            Plain numbers, or quantities of the loss's unit over that of the parameter.  Those by
            dependent parameters are carried on to what these depend on (the chain rule); they may
            be left out, as those by fixed ones.
        vector : ndarray, shape (n,)
            Where.
        loss : Unit or None
            The unit of the loss.
        """
        flat = np.empty(self.n)
        slopes = [0.0] * len(self._formulas)
        for end, value in _matched(self.root, gradient):
            if isinstance(end, Fixed) or (value is None and isinstance(end, Dependent)):
                continue
            what = f"the derivative by {end.name}"
            unit = None if isinstance(end, Dependent) else end.unit
            number = _slope_in(value, loss, unit, what)
            if isinstance(end, Dependent):
                slopes[end.index] = _single(number, what)
            else:
                _put(flat, end, number, value)
        return flat + self._pulled_back(vector, slopes)

    def pulled_back(self, gradient: Mapping[str, Any], vector: Vector) -> Vector | float:
        """Return what derivatives by dependent parameters, by name, add to those of the others."""
        named = self.named.dependent
        given = [gradient.get(name) for name in named]
        pairs = zip(named, given, strict=True)
        slopes = [
            0.0 if slope is None else _single(slope, f"the derivative by {name}")
            for name, slope in pairs
        ]
        return self._pulled_back(vector, slopes)

    def _pulled_back(self, vector: Vector, slopes: list[float]) -> Vector | float:
        return self.dependents.pulled_back(vector, slopes) if any(slopes) else 0.0

    def call(self, function: Callable[..., Any], params: Any, *further: Any) -> Any:
        """Call a function with parameters: by position, by name, or as one argument."""
        positional, named = self.arguments(params)
        return function(*positional, *further, **named)

    @property
    def handed(self) -> str:
        """How parameters are handed over: ``'position'``, ``'name'`` or ``'whole'``."""
        kind = self.root.kind if isinstance(self.root, Branch) else None
        if kind in (list, tuple):
            return "position"
        return "name" if kind is not None and issubclass(kind, Mapping) else "whole"

    def arguments(self, params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments, by position and by name, as which parameters are handed over.

        The members of a list or a tuple are handed over by position, those of a dictionary by
        name, and all else as one argument.
        """
        handed = self.handed
        if handed == "position":
            return tuple(params), {}
        return ((), dict(params)) if handed == "name" else ((params,), {})

    # -- names --------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number of the vector, such as ``layer_w_0_1``."""
        return self.named.free

    def names_for(self, positions: Sequence[str]) -> tuple[str, ...]:
        """Return the names; of what is handed over by position they are those in `positions`."""
        return self.with_positions(positions).names

    def with_positions(self, positions: Sequence[str]) -> Structure:
        """Return the same structure with other names of what is handed over by position."""
        return self if tuple(positions) == self.positions else Structure.of(self.root, positions)

    @cached_property
    def named(self) -> Names:
        """The names of all numbers, each once."""
        free, fixed, dependent, seen = list[str](), dict[str, float](), list[str](), set[str]()

        def unused(name: str) -> str:
            while name in seen:
                name += "_"
            seen.add(name)
            return name

        for end in ends(self.root):
            stem = self._stem(end.path)
            if isinstance(end, Leaf):
                free += [unused("_".join((*stem, *map(str, i)))) for i in np.ndindex(end.shape)]
            elif isinstance(end, Dependent):
                dependent.append(unused("_".join(stem)))
            elif (numbers := end.numbers) is not None:
                for i in np.ndindex(numbers.shape):
                    fixed[unused("_".join((*stem, *map(str, i))))] = float(numbers[i])
        return Names(tuple(free), fixed, tuple(dependent))

    def _stem(self, path: tuple[Any, ...]) -> list[str]:
        positions = self.positions
        if self.handed == "position":
            i = path[0]
            path = (positions[i] if i < len(positions) else f"x{i + 1}", *path[1:])
        return [re.sub(r"\W", "_", str(key)) for key in path] or [*positions[:1], "x"][:1]

    def numbers(self, vector: Vector) -> dict[str, float]:
        """Return all numbers by name: those of the vector, then fixed and dependent ones."""
        named = self.named
        made = dict(zip(named.free, vector.tolist(), strict=True)) | named.fixed
        return made | dict(zip(named.dependent, self.dependent_numbers(vector), strict=True))

    @staticmethod
    def spaced(text: str) -> str:
        """Write ``layer.w[0, 1]`` as ``layer_w_0_1``, which is the name of that number."""
        return _PLACE.sub(lambda found: "_".join(re.findall(r"\w+", found.group())), text)

    def spelled(self, text: str) -> str:
        """Return a formula over the names of the vector and of fixed numbers alone."""
        text = self.spaced(text)
        if not self._formulas:
            return text
        written = self.dependents.written
        pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, written))})(?!\w)")
        return pattern.sub(lambda found: f"({written[found[1]]})", text)

    def where(self, i: int) -> str:
        """Say which number of which parameter has the index `i` in the vector."""
        for leaf in self.leaves:
            if i < leaf.first + leaf.size:
                break
        place = np.unravel_index(i - leaf.first, leaf.shape)
        return leaf.name + (f"[{', '.join(map(str, map(int, place)))}]" if leaf.shape else "")

    def __repr__(self) -> str:
        shown = ", ".join(map(_shown, list(ends(self.root))[:20]))
        return f"<{self.n} numbers: {shown}>"

    def with_sides(self, lower: Vector, upper: Vector) -> Structure:
        """Return the same structure with another box."""

        def with_new(end: Leaf | Fixed | Dependent) -> Leaf | Fixed | Dependent:
            if not isinstance(end, Leaf):
                return end
            part = slice(end.first, end.first + end.size)
            low, high = lower[part].reshape(end.shape), upper[part].reshape(end.shape)
            return replace(end, low=low, high=high)

        return Structure.of(replaced(self.root, with_new), self.positions)


def as_numpy(leaf: Leaf, numbers: Any) -> Any:
    """Return the numbers of a leaf in its type, without unit."""
    typed = numbers.astype(np.float64 if leaf.dtype is None else leaf.dtype)
    return typed if leaf.shape else typed[()].item() if leaf.dtype is None else typed[()]


def with_unit(leaf: Leaf, numbers: Any) -> Any:
    """Return numbers with the unit of the leaf, if it has one."""
    return numbers if leaf.unit is None else leaf.unit.attach(numbers)


def _shown(end: Leaf | Fixed | Dependent) -> str:
    if isinstance(end, Leaf):
        unit = "" if end.unit is None else f" {end.unit}"
        return f"{end.name}{list(end.shape) if end.shape else ''}{unit}"
    return f"{end.name} = {end.value if isinstance(end, Fixed) else end.text}"


# -- walking ------------------------------------------------------------------------------------


def _numbered(root: Node) -> Node:
    """Give each leaf its place in the vector, and each formula its number."""
    first = index = 0

    def number(end: Leaf | Fixed | Dependent) -> Leaf | Fixed | Dependent:
        nonlocal first, index
        if isinstance(end, Leaf):
            end = replace(end, first=first)
            first += end.size
        elif isinstance(end, Dependent):
            end = replace(end, index=index)
            index += 1
        return end

    return replaced(root, number)


def _matched(node: Node, params: Any) -> Iterator[tuple[Leaf | Fixed | Dependent, Any]]:
    """Yield everything that is no container with its value in `params`."""
    if isinstance(node, Leaf) and node.shape and isinstance(params, list):
        params = _array(params, node)  # as JSON has arrays
    if not isinstance(node, Branch):
        container = isinstance(params, Mapping | tuple | list | str) and not is_quantity(params)
        if container and not isinstance(node, Fixed):
            raise InputError(f"{node.name} needs a number or an array, not {params!r}")
        yield node, params
        return
    given = branch_of(params)
    keys = set() if given is None else set(given.keys)
    if given is None or not _is_like(given, node) or not _needed(node) <= keys <= set(node.keys):
        raise InputError(
            f"{params!r} does not have the structure of the bounds: "
            f"{node.label or node.kind.__name__} with {', '.join(map(str, node.keys))}"
        )
    values = dict(zip(given.keys, given.children, strict=True))
    for key, child in zip(node.keys, node.children, strict=True):
        if key in values:
            yield from _matched(child, values[key])


def _array(listed: list[Any], leaf: Leaf) -> Any:
    """Return lists of numbers as an array; what else there is, as it is."""
    try:
        array = np.array(listed, dtype=float)
    except (TypeError, ValueError):
        return listed
    return array if array.shape == leaf.shape else listed


def _is_like(given: Branch, node: Branch) -> bool:
    if given.kind is node.kind or node.kind in (list, tuple):
        return True
    return issubclass(given.kind, Mapping) and issubclass(node.kind, Mapping)


def _needed(node: Branch) -> set[Any]:
    """Return the keys under which there is something that nobody else knows."""
    pairs = zip(node.keys, node.children, strict=True)
    return {key for key, child in pairs if any(isinstance(end, Leaf) for end in ends(child))}


def _put(vector: Vector, leaf: Leaf, numbers: Any, given: Any) -> None:
    """Enter the numbers of a leaf into a vector."""
    try:
        part = np.asarray(numbers, dtype=np.float64)
        vector[leaf.first : leaf.first + leaf.size] = np.broadcast_to(part, leaf.shape).ravel()
    except (TypeError, ValueError):
        raise InputError(
            f"{leaf.name} needs numbers of shape {leaf.shape}, not {given!r}"
        ) from None


def _single(value: Any, what: str) -> float:
    array = np.asarray(value, dtype=np.float64)
    if array.size != 1:
        raise InputError(f"{what} is one number, not {value!r}")
    return float(array.reshape(-1)[0])


def _check_fixed(end: Fixed, value: Any) -> None:
    """Refuse another value than the fixed one."""
    if value is end.value:
        return
    numbers = end.numbers
    same = value == end.value if numbers is None else _equal(numbers, number_of(value))
    if not same:
        raise InputError(f"{end.name} is fixed at {end.value!r}, and cannot be {value!r}")


def _equal(numbers: Any, value: Any) -> bool:
    try:
        return bool(np.array_equal(numbers, np.asarray(value)))
    except (TypeError, ValueError):
        return False


def _slope_in(value: Any, loss: Unit | None, unit: Unit | None, what: str) -> Any:
    """Return a derivative as a plain number: of the loss's unit over that of the parameter."""
    if not is_quantity(value):
        return value
    if loss is not None:
        return number_in(value, loss / unit, what)
    return number_in(value, None if unit is None else unit.inverse(), what)


def _shaped(root: Node, params: Any) -> Node:
    """Broadcast leaves to the shapes of arrays in `params`."""
    shapes = {end.path: np.shape(number_of(value)) for end, value in _matched(root, params)}

    def shape(end: Leaf | Fixed | Dependent) -> Leaf | Fixed | Dependent:
        wanted = shapes.get(end.path, ())
        if not isinstance(end, Leaf) or end.shape or not wanted:
            return end
        low, high = np.full(wanted, end.low), np.full(wanted, end.high)
        return replace(end, shape=wanted, low=low, high=high)

    return replaced(root, shape)
