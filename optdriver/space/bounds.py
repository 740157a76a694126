"""Reading bounds: containers of pairs, fixed values, formulas and entries, as a tree of nodes.

A pair is ``(low, high)``, an `Interval`, or SciPy's ``Bounds``.  Under a name (in a dictionary, a
named tuple or a registered class) there can also be a number, an array or a quantity, which is
fixed; a text, which is a formula of other parameters; or an entry such as
``{'domain': (1e-9, 1e-3), 'scale': 'log'}`` or ``{'type': 'fixed', 'domain': 'euler'}``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.reading import real_array
from optdriver.space.nodes import (
    Dependent,
    Fixed,
    Interval,
    Leaf,
    Node,
    Vector,
    branch_of,
)
from optdriver.space.units import Unit, is_quantity, number_in, number_of, unit_of

KEYS: Final = ("name", "type", "domain", "scale")
"""What an entry can have."""

KINDS: Final = ("continuous", "fixed", "dependent")
SCALES: Final = ("linear", "log")


def read(node: Any, path: tuple[Any, ...] = ()) -> Node:
    """Return what bounds say, as a tree.

    Raises
    ------
    InputError
        Something in them is neither a pair nor a container of pairs; the message says where.
    """
    if isinstance(node, Interval):
        leaf = _leaf(_array(node.low), _array(node.high), path, node.shape, node.dtype)
        return _logarithmic(leaf) if node.log else leaf
    if _is_pair(node, path):
        return _leaf(node[0], node[1], path)
    if hasattr(node, "lb") and hasattr(node, "ub"):  # scipy.optimize.Bounds
        return _leaf(np.asarray(node.lb), np.asarray(node.ub), path)
    if is_entry(node):
        return _from_entry(node, path)
    branch = branch_of(node)
    if branch is None:
        raise InputTypeError(
            f"bounds{_at(path)} are {node!r}; expected a pair (low, high), or a list, tuple or "
            "dictionary of pairs"
        )
    under = read if branch.kind in (list, tuple) else _member
    children = [under(c, (*path, k)) for k, c in zip(branch.keys, branch.children, strict=True)]
    return replace(branch, children=tuple(children))


def _member(node: Any, path: tuple[Any, ...]) -> Node:
    """Read what stands under a name."""
    if isinstance(node, str):
        return Dependent(path=path, text=node)
    if isinstance(node, np.ndarray) and node.shape == (2,):
        return _leaf(node[0], node[1], path)
    return _fixed(node, path) if node is not None and _is_side(node) else read(node, path)


def _fixed(value: Any, path: tuple[Any, ...]) -> Fixed:
    """Return a value that is handed through."""
    if isinstance(value, str):
        return Fixed(path=path, value=value)
    what = f"the fixed value{_at(path)}"
    numbers = real_array(what, number_of(value), "a number, an array or a text")
    if not np.isfinite(numbers).all():
        raise InputError(f"{what} must be finite, not {value!r}")
    return Fixed(path=path, value=np.asarray(value) if isinstance(value, list | tuple) else value)


def is_entry(node: Any) -> bool:
    """Return whether a dictionary is an entry, which has a domain, and no container."""
    if not isinstance(node, Mapping):
        return False
    kind = node.get("type")
    return "domain" in node or (isinstance(kind, str) and kind.lower() in KINDS)


def _from_entry(entry: Mapping[str, Any], path: tuple[Any, ...]) -> Node:
    for key in entry:
        if key not in KEYS:
            raise unknown_option("key in a domain entry", str(key), KEYS)
    if "domain" not in entry:
        raise InputError(f"a domain entry needs 'domain'; given{_at(path)}: {dict(entry)!r}")
    domain, scale = entry["domain"], entry.get("scale", "linear")
    kind = entry.get("type", "dependent" if isinstance(domain, str) else "continuous")
    for what, value, known in (("type", kind, KINDS), ("scale", scale, SCALES)):
        if not isinstance(value, str) or value.lower() not in known:
            raise unknown_option(f"{what} of the parameter{_at(path)}:", str(value), known)
    if kind.lower() == "fixed":
        return _fixed(domain, path)
    if kind.lower() == "dependent":
        if not isinstance(domain, str):
            raise InputTypeError(f"a dependent parameter{_at(path)} has a formula, not {domain!r}")
        return Dependent(path=path, text=domain)
    leaf = read(domain, path)
    if not isinstance(leaf, Leaf):
        raise InputTypeError(
            f"the continuous parameter{_at(path)} has a pair (low, high) as its domain; a container"
            " of pairs stands in the place of the entry"
        )
    return _logarithmic(leaf) if scale == "log" else leaf


def _logarithmic(leaf: Leaf) -> Leaf:
    """Return a parameter that minimizers see by its logarithm."""
    if not np.all(leaf.low > 0.0):
        raise InputError(
            f"bounds{_at(leaf.path)} are logarithmic, and their lower side is {leaf.low}: it must "
            "be above 0 (use a linear scale where 0 or negative values are meant)"
        )
    return replace(leaf, log=True)


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
    except OverflowError:
        raise InputError(f"{what} have a number that is too large for a float") from None
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
