"""What a user hands over, checked once and put into one form: texts, functions, names, box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver import stored
from optdriver.constraints.callables import Functions, from_dict, from_object
from optdriver.errors import ConstraintError, InputError, InputTypeError, unknown_option
from optdriver.reading import is_listed, real_array, short

Array = NDArray[np.float64]

_KEYS = ("name", "constraint", "expression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """All that a `ConstraintSet` is made of."""

    texts: tuple[tuple[str, str], ...]
    functions: tuple[Functions, ...]
    names: tuple[str, ...]
    fixed: dict[str, float]
    lower: Array
    upper: Array
    reference: Array | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; refuse functions."""
        if self.functions:
            raise InputError(
                f"the constraint {self.functions[0].name!r} is a function, which cannot be"
                " written down; give it as a text"
            )
        return {
            "texts": [list(pair) for pair in self.texts],
            "names": list(self.names),
            "fixed": dict(self.fixed),
            "lower": self.lower.tolist(),
            "upper": self.upper.tolist(),
            "reference": None if self.reference is None else self.reference.tolist(),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Specification:
        """Make the specification again that `to_dict` wrote."""
        reference = data["reference"]
        names = _names([stored.text("name", name) for name in stored.rows("names", data["names"])])
        n = len(names)
        lower, upper = (stored.array(side, data[side], (n,)) for side in ("lower", "upper"))
        _check_box(lower, upper, names)
        pairs = [stored.rows("texts", pair) for pair in stored.rows("texts", data["texts"])]
        return Specification(
            texts=tuple((stored.text("name", a), stored.text("text", b)) for a, b in pairs),
            functions=(),
            names=names,
            fixed=_fixed(stored.mapping("fixed", data["fixed"]), names),
            lower=lower,
            upper=upper,
            reference=None
            if reference is None
            else stored.array("reference", reference, (n,), finite=True),
        )


def specified(
    constraints: Any,
    names: Sequence[str],
    bounds: Any,
    fixed: Mapping[str, float] | None,
    reference: ArrayLike | None,
) -> Specification:
    """Check the arguments of a `ConstraintSet` and put them into one form."""
    free = _names(names)
    held = _fixed(fixed, free)
    lower, upper = _box(bounds, len(free))
    point = _reference(reference, len(free))
    probe = middle(lower, upper) if point is None else point
    texts, functions = list[tuple[str, str]](), list[Functions]()
    for i, item in enumerate(_listed(constraints)):
        if (text := as_text(item)) is not None:
            texts.append(text)
        elif (box := _as_bounds(item, len(free))) is not None:
            lower, upper = np.maximum(lower, box[0]), np.minimum(upper, box[1])
        else:
            functions.append(_as_function(item, f"constraint {i + 1}", probe))
    _check_box(lower, upper, free)
    return Specification(
        texts=tuple(texts),
        functions=tuple(functions),
        names=free,
        fixed=held,
        lower=lower,
        upper=upper,
        reference=point,
    )


def names_of(n: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return `names`, of which there must be n, or ``x1`` to ``xn``."""
    if names is None:
        return tuple(f"x{i + 1}" for i in range(n))
    known = _names(names)
    if len(known) != n:
        raise InputError(f"{len(known)} names for {n} variables")
    return known


def middle(lower: Array, upper: Array) -> Array:
    """Return the middle of a box; where a side is infinite, the point nearest to 0."""
    point = np.minimum(np.maximum(0.0, lower), upper)
    both = np.isfinite(lower) & np.isfinite(upper)
    point[both] = 0.5 * lower[both] + 0.5 * upper[both]
    return point


def _names(names: Sequence[str]) -> tuple[str, ...]:
    if not is_listed(names) or not all(isinstance(name, str) for name in names):
        raise InputTypeError(f"names is a sequence of parameter names, not {short(names)}")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InputError(f"the parameter {twice!r} is named twice")
    return tuple(names)


def _fixed(fixed: Mapping[str, float] | None, free: tuple[str, ...]) -> dict[str, float]:
    if fixed is not None and not isinstance(fixed, Mapping):
        raise InputTypeError(f"fixed is a dict of names and their values, not {short(fixed)}")
    held = {}
    for name, value in ({} if fixed is None else fixed).items():
        if name in free:
            raise InputError(f"the parameter {name!r} is both free and fixed")
        held[name] = _number(f"the fixed parameter {name!r}", value)
    return held


def _number(what: str, value: Any) -> float:
    try:
        made = float(value)
    except (TypeError, ValueError):
        raise InputTypeError(f"{what} needs a number, not {value!r}") from None
    if not math.isfinite(made):
        raise InputError(f"{what} needs a finite number, not {value!r}")
    return made


def _box(bounds: Any, n: int) -> tuple[Array, Array]:
    if bounds is None:
        return np.full(n, -np.inf), np.full(n, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        sides = [np.broadcast_to(np.asarray(s, np.float64), (n,)) for s in (bounds.lb, bounds.ub)]
        return sides[0].copy(), sides[1].copy()
    try:
        pairs = [(low, high) for low, high in bounds]
        low = np.array([-np.inf if a is None else float(a) for a, _ in pairs])
        high = np.array([np.inf if b is None else float(b) for _, b in pairs])
    except (TypeError, ValueError):
        raise InputTypeError(f"bounds are (lower, upper) pairs, not {bounds!r}") from None
    if len(pairs) != n:
        raise InputError(f"{n} pairs of bounds are needed, one a parameter, not {len(pairs)}")
    return low, high


def _check_box(lower: Array, upper: Array, names: tuple[str, ...]) -> None:
    for name, low, high in zip(names, lower, upper, strict=True):
        if not low <= high:
            raise InputError(f"the bounds of {name!r} leave nothing: {low:g} to {high:g}")


def _reference(reference: ArrayLike | None, n: int) -> Array | None:
    if reference is None:
        return None
    point = np.array(real_array("the reference", reference))
    if point.shape != (n,) or not np.isfinite(point).all():
        raise InputError(f"the reference is a finite point of shape ({n},), not {short(reference)}")
    return point


def _listed(constraints: Any) -> list[Any]:
    if constraints is None:
        return []
    if isinstance(constraints, str | Mapping) or _is_scipy(constraints):
        return [constraints]
    if isinstance(constraints, Sequence):
        return list(constraints)
    raise InputTypeError(f"constraints are texts such as 'x1 + x2 <= 1', not {constraints!r}")


def _is_scipy(item: Any) -> bool:
    return hasattr(item, "lb") and hasattr(item, "ub")


def as_text(item: Any) -> tuple[str, str] | None:
    """Return name (or "") and text of a constraint; None for what is no text."""
    if isinstance(item, str):
        return "", item
    if not isinstance(item, Mapping) or "type" in item:
        return None
    for key in item:
        if key not in _KEYS:
            raise unknown_option("key of a constraint", str(key), _KEYS)
    given = [item[key] for key in _KEYS[1:] if key in item]
    if len(given) != 1 or not isinstance(given[0], str):
        raise ConstraintError(
            "a constraint is {'name': ..., 'constraint': 'x1 + x2 <= 1'}, with one text; not "
            f"{dict(item)!r}"
        )
    return str(item.get("name") or ""), given[0]


def _as_bounds(item: Any, n: int) -> tuple[Array, Array] | None:
    if _is_scipy(item) and not hasattr(item, "A") and not hasattr(item, "fun"):
        return _box(item, n)
    return None


def _as_function(item: Any, name: str, probe: Array) -> Functions:
    if isinstance(item, Mapping):
        return from_dict(item, str(item.get("name") or name), probe)
    if _is_scipy(item):
        return from_object(item, name, probe)
    raise InputTypeError(
        f"{name} is a text such as 'x1 + x2 <= 1', a mapping with one, or a constraint of"
        f" SciPy's; not {item!r}"
    )
