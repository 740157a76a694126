"""From the texts of constraints to rows c <= 0 and e = 0, and to what can be said of them.

Here bounds in disguise leave the rows, kinks are split, pairs c <= 0 and -c <= 0 become
equalities, and whatever a user should know is noted: constants, steps, copies, missing values.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.assembly import Cut
from optdriver.constraints.identity import candidates, canonical, factor
from optdriver.errors import ConstraintError, ConstraintWarning, say
from optdriver.formulas.convexity import Curvature, curvature
from optdriver.formulas.intervals import Box, interval
from optdriver.formulas.parser import ParsedConstraint, parse
from optdriver.formulas.printing import formula
from optdriver.formulas.rewrite import affine, bound, is_union, pieces, single
from optdriver.formulas.syntax import (
    CONSTANTS,
    KINKS,
    STEPS,
    Call,
    Name,
    Node,
    Number,
    Power,
    children,
    functions_in,
    rebuilt,
    walk,
)
from optdriver.formulas.tape import Tape, constant_value
from optdriver.formulas.tokens import pointed

Array = NDArray[np.float64]

EQUALITY = 1e-10
"""How far from zero an equality may be, scaled."""
_DOMAINS = {
    **dict.fromkeys(["sqrt", "log", "log10", "log2"], (0.0, math.inf)),
    **dict.fromkeys(["asin", "acos"], (-1.0, 1.0)),
}
_SAMPLES = 256
_SHOWN = 60
_NAMED = 3
"""Constraints with one warning that are named; of more, the first ones and how many."""
_COMPARED = 200
"""A row is compared with at most so many that are alike to nine digits."""


class Note(NamedTuple):
    """Something to know: `kind` is ``"warning"`` or ``"note"``, `name` the constraint's."""

    kind: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a text: ``node <= 0`` or ``node == 0``, with what is known of it."""

    name: str
    kind: str
    node: Node
    text: str
    source: int
    piece: bool = False
    linear: bool = False
    convex: bool = False
    smooth: bool = True
    union: bool = False


Affine = tuple[float, dict[str, float]] | None


@dataclass(slots=True)
class Reading:
    """What becomes of the texts: rows, a tighter box, and notes."""

    names: tuple[str, ...]
    fixed: Mapping[str, float]
    lower: Array
    upper: Array
    rows: list[Row] = field(default_factory=list)
    bound_names: dict[tuple[int, str], str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    forms: dict[int, tuple[Node, Affine]] = field(default_factory=dict)  # by the node's identity
    cut: Cut = field(default_factory=dict)

    def affine(self, node: Node) -> Affine:
        """Return the constant and the coefficients of a row, or None; found the first time only."""
        if id(node) not in self.forms:
            self.forms[id(node)] = node, affine(node)
        return self.forms[id(node)][1]

    @property
    def box(self) -> dict[str, tuple[float, float]]:
        """The box by name, as it is now."""
        sides = zip(self.names, self.lower, self.upper, strict=True)
        return {name: (float(low), float(high)) for name, low, high in sides}

    def warn(self, row: Row, message: str) -> None:
        """Note something that the user should see at once, unless only a piece is concerned."""
        self.notes.append(Note("note" if row.piece else "warning", row.name, message))

    def note(self, name: str, message: str) -> None:
        """Note something worth knowing."""
        self.notes.append(Note("note", name, message))


def read(
    texts: Sequence[tuple[str, str]],
    names: Sequence[str],
    fixed: Mapping[str, float],
    lower: Array,
    upper: Array,
) -> Reading:
    """Read constraints, given as ``(name or "", text)``, over a box.

    Raises
    ------
    ConstraintError
        For a text that does not parse, and a constraint that no point of the box satisfies.
    """
    reading = Reading(tuple(names), fixed, lower.copy(), upper.copy())
    labels: set[str] = set()
    known = frozenset([*names, *fixed])
    for place, (name, text) in enumerate(texts):
        parsed = parse_named(name, text, known)
        label = label_of(name, parsed, place, labels)
        _check_names(reading, label, parsed)
        with naming(name):
            parts = parts_of(parsed, fixed)
        _add_rows(reading, label, parsed, parts, place)
    _pair(reading)
    box = Box(reading.box)
    reading.rows = [kept for row in reading.rows if (kept := _classified(reading, row, box))]
    _look_for_nan(reading)
    _keep_to_domains(reading)
    return reading


def _keep_to_domains(reading: Reading) -> None:
    """Bound parameters where a function of them ends: ``sqrt(x2) + x1 <= 1`` needs x2 >= 0.

    No point beyond is feasible anyway, as the row has no value there; but a method that knows the
    side as a bound can go along it.
    """
    places = {name: i for i, name in enumerate(reading.names)}
    for row in reading.rows:
        for node in walk(row.node):
            name, low, high = _domain(node)
            if name is None:
                continue
            i = places[name]
            sides = float(reading.lower[i]), float(reading.upper[i])
            low, high = max(low, sides[0]), min(high, sides[1])
            if low < high and (low, high) != sides:
                reading.lower[i], reading.upper[i] = low, high
                reading.note(row.name, f"has no value unless {low:g} <= {name} <= {high:g}")


def _domain(node: Node) -> tuple[str | None, float, float]:
    """Return the parameter that the node is a function of and the interval where it is defined."""
    match node:
        case Call(function, (Name(name),)) if function in _DOMAINS:
            return name, *_DOMAINS[function]
        case Power(Name(name), Number(exponent)) if exponent != round(exponent):
            return name, 0.0, math.inf
        case _:
            return None, -math.inf, math.inf


def announce(notes: Sequence[Note]) -> None:
    """Issue the notes that are warnings as Python warnings; many with one message as one."""
    said: dict[str, list[str]] = {}
    for kind, name, message in notes:
        if kind == "warning":
            said.setdefault(message, []).append(repr(name))
    for message, names in said.items():
        if len(names) > _NAMED:
            listed = f"{len(names)} constraints ({', '.join(names[:_NAMED])}, ...)"
            say(f"{listed}: each {message}", ConstraintWarning)
        else:
            for name in names:
                say(f"constraint {name}: {message}", ConstraintWarning)


def parse_named(name: str, text: str, names: frozenset[str]) -> ParsedConstraint:
    """Parse a text; an error has the name of the constraint, if there is one."""
    with naming(name):
        return parse(text, names)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of a constraint, if it was given one, before an error in its text."""
    try:
        yield
    except ConstraintError as error:
        if not name:
            raise
        named = ConstraintError(f"constraint {name!r}: {error}")
        named.position = error.position
        raise named from None


def label_of(name: str, parsed: ParsedConstraint, place: int, labels: set[str]) -> str:
    """Return what a constraint is called, and note it among `labels`."""
    if name and name in labels:
        raise ConstraintError(f"two constraints are called {name!r}; rename one of them")
    if not name:
        name = str(parsed)
        if len(name) > _SHOWN or name in labels:
            name = f"constraint {place + 1}"
    labels.add(name)
    return name


def _check_names(reading: Reading, label: str, parsed: ParsedConstraint) -> None:
    for name in parsed.names:
        if name in CONSTANTS:
            reading.note(label, f"{name!r} is the parameter of that name, not the constant")


def parts_of(parsed: ParsedConstraint, fixed: Mapping[str, float]) -> list[tuple[str, Node]]:
    """Return the rows of a constraint, kinks split, with the fixed parameters put in."""
    found: list[tuple[str, Node]] = []
    for kind, node in parsed.rows():
        whole = bound(node, fixed, parsed.text)
        parts = pieces(whole) if kind == "<=" else [whole]
        found += [(kind, part if part is whole else bound(part, {}, parsed.text)) for part in parts]
    return found


def _add_rows(
    reading: Reading,
    label: str,
    parsed: ParsedConstraint,
    found: list[tuple[str, Node]],
    source: int,
) -> None:
    if len(found) > len(parsed.rows()):
        reading.note(label, f"split into {len(found)} smooth constraints, which is exact")
    for i, (kind, node) in enumerate(found):
        name = label if len(found) == 1 else f"{label}[{i + 1}]"
        row = Row(name, kind, node, parsed.text, source, piece=len(found) > 1)
        if not _is_decided(reading, row) and not _is_bound(reading, row):
            reading.rows.append(row)


def _is_decided(reading: Reading, row: Row) -> bool:
    """Tell whether the row is constant; raise if it can never hold."""
    value = _constant(reading, row.node)
    if value is None:
        return False
    holds = value <= 0.0 if row.kind == "<=" else abs(value) <= EQUALITY
    if not holds:
        raise pointed(
            row.text,
            row.node.start,
            f"constraint {row.name!r} never holds: it says {value:g} {row.kind} 0,"
            " whatever the free parameters are",
        )
    reading.warn(row, "always holds, as no free parameter plays a part; dropped")
    return True


def _constant(reading: Reading, node: Node) -> float | None:
    if isinstance(node, Number):
        return node.value
    form = reading.affine(node)
    if form is None or any(form[1].values()) or abs(form[0]) <= EQUALITY:
        return None
    return form[0]


def _is_bound(reading: Reading, row: Row) -> bool:
    """Move a row that bounds one parameter into the box."""
    found, form = single(row.node), reading.affine(row.node)
    if found is None or form is None:
        return False
    name, sign = found
    slope = form[1][name]
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(form[0]):
        return False
    place = reading.names.index(name)
    value = _last_holding(Tape([row.node], [name]), -form[0] / slope, sign)
    if row.kind == "==":
        value = -form[0] / slope
    if value is None or not math.isfinite(value):
        return False
    if row.kind == "==" or sign > 0.0:
        _tighten(reading, row, place, "upper", value)
    if row.kind == "==" or sign < 0.0:
        _tighten(reading, row, place, "lower", value)
    if row.name in reading.bound_names.values():
        reading.note(row.name, f"is a bound on {name} and used as such")
    return True


def _last_holding(tape: Tape, guess: float, sign: float) -> float | None:
    """Return `guess` if the row is <= 0 there, else the last float before it where it is.

    The row is monotone after rounding too, so that bisection over the floats finds it.
    """
    if tape([guess])[0] <= 0.0:
        return guess
    margins = (1e-15 * max(abs(guess), 1.0) * 8.0**i for i in range(40))
    inside = next((z for m in margins if tape([z := guess - sign * m])[0] <= 0.0), None)
    if inside is None:
        return None
    first, last = _rank(inside), _rank(guess)
    while abs(last - first) > 1:
        middle = (first + last) // 2
        if tape([_ranked(middle)])[0] <= 0.0:
            first = middle
        else:
            last = middle
    return _ranked(first)


def _rank(value: float) -> int:
    """Return the place of a float among all floats."""
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    return int(bits) if bits >= 0 else -(int(bits) & (2**63 - 1))


def _ranked(place: int) -> float:
    size: float = struct.unpack("<d", struct.pack("<q", abs(place)))[0]
    return math.copysign(size, place)


def _tighten(reading: Reading, row: Row, place: int, side: str, value: float) -> None:
    value += 0.0  # no negative zero
    low, high = float(reading.lower[place]), float(reading.upper[place])
    if (side == "upper" and value < low) or (side == "lower" and value > high):
        raise ConstraintError(
            f"constraint {row.name!r} cannot hold in the box: it needs {reading.names[place]}"
            f" {'<=' if side == 'upper' else '>='} {value:g}, which its bounds {low:g} and"
            f" {high:g} leave no room for"
        )
    if side == "upper" and value < high:
        reading.upper[place] = value
    elif side == "lower" and value > low:
        reading.lower[place] = value
    else:
        if row.kind == "<=":
            reading.warn(row, "always holds inside the bounds; dropped")
        return
    reading.bound_names[place, side] = row.name


def _classified(reading: Reading, row: Row, box: Box) -> Row | None:
    """Return the row with what is known of it; None if it always holds."""
    values = interval(row.node, box)
    if values.low > 0.0 or (row.kind == "==" and values.high < 0.0):
        raise pointed(
            row.text,
            row.node.start,
            f"constraint {row.name!r} cannot hold in the box:"
            f" {formula(row.node)[:_SHOWN]} is between {values.low:g} and {values.high:g} there",
        )
    if row.kind == "<=" and values.high <= 0.0 and not values.undefined:
        reading.warn(row, "always holds in the box; dropped")
        return None
    used = functions_in(row.node)
    linear = reading.affine(row.node) is not None
    union = row.kind == "<=" and not used.isdisjoint(KINKS) and is_union(row.node)
    _note_kinks(reading, row, used, union)
    return replace(
        row,
        linear=linear,
        convex=linear
        or (row.kind == "<=" and curvature(row.node, box) in (Curvature.CONVEX, Curvature.AFFINE)),
        smooth=used.isdisjoint(KINKS | STEPS),
        union=union,
    )


def _note_kinks(reading: Reading, row: Row, used: set[str], union: bool) -> None:
    if steps := sorted(used & STEPS):
        reading.warn(
            row,
            f"{', '.join(steps)} is constant between jumps: feasibility is tested, but no"
            " gradient method can follow it",
        )
    if union:
        reading.note(row.name, "is a union: its active branch is followed, not certified at kinks")
    elif kinks := sorted(used & KINKS):
        reading.note(row.name, f"{', '.join(kinks)} has kinks: one-sided derivatives are used")


def _pair(reading: Reading) -> None:
    """Turn pairs c <= 0, -c <= 0 into equalities and drop copies."""
    rows = reading.rows
    if len(rows) < 2:
        return
    forms = canonical([row.node for row in rows], reading.names, reading.cut)
    gone: set[int] = set()
    like: dict[int, int] = {}  # row -> an earlier one that says the same
    for alike in candidates(forms):
        for i, first in enumerate(alike):
            if first in gone or (first in like and like[first] not in gone):
                continue  # what it could be compared with has been, with the earlier one
            for second in alike[i + 1 : i + 1 + _COMPARED]:
                if first in gone:
                    break
                ratio = None if second in gone else factor(forms[first], forms[second])
                if ratio is not None:
                    dropped = _joined(reading, ratio, first, second)
                    gone |= dropped
                    if not dropped:
                        like[second] = first
    reading.rows = [row for j, row in enumerate(rows) if j not in gone]


def _joined(reading: Reading, ratio: float, first: int, second: int) -> set[int]:
    """Return which of two rows is dropped, where the first is `ratio` times the second.

    An inequality is dropped only if the other one has the same value in floating point.
    """
    a, b = reading.rows[first], reading.rows[second]
    if a.kind == b.kind == "<=" and ratio < 0.0:
        name = a.name if a.source != b.source else a.name.rsplit("[", 1)[0]
        reading.note(name, f"{a.name} and {b.name} together are an equality and used as such")
        reading.rows[first] = replace(a, kind="==", name=name)
        return {second}
    if a.kind != b.kind:
        place, kept, other = (second, a, b) if a.kind == "==" else (first, b, a)
        reading.note(other.name, f"follows from {kept.name}; dropped")
        return {place}
    same = a.kind == "==" or a.node == b.node
    reading.note(b.name, f"means the same as {a.name}" + ("; dropped" if same else ""))
    return {second} if same else set()


def samples(reading: Reading) -> Array:
    """Return points spread over the box; an infinite side is taken to be 10 away or so."""
    low, high = reading.lower, reading.upper
    reach = 10.0 * np.maximum(1.0, np.abs(np.where(np.isfinite(low), low, high)))
    reach = np.where(np.isfinite(reach), reach, 10.0)
    first = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0) - reach)
    last = np.where(np.isfinite(high), high, np.where(np.isfinite(low), low, 0.0) + reach)
    n = low.size
    golden = 2.0
    for _ in range(40):  # the root of g^(n+1) = g + 1: Roberts' low-discrepancy sequence
        golden = (1.0 + golden) ** (1.0 / (n + 1.0))
    steps = golden ** -np.arange(1.0, n + 1.0)
    fractions = (0.5 + np.arange(1.0, _SAMPLES + 1.0)[:, None] * steps) % 1.0
    return np.asarray(first + fractions * (last - first))


def _look_for_nan(reading: Reading) -> None:
    rows = [row for row in reading.rows if not row.linear]
    if not rows:
        return
    points = samples(reading)
    values = Tape([row.node for row in rows], reading.names).many(points)
    missing = np.isnan(values)
    for j in np.flatnonzero(missing.any(axis=0)):
        row, share = rows[j], float(missing[:, j].mean())
        point = points[np.argmax(missing[:, j])]
        culprit = _culprit(row.node, reading.names, point)
        shown = zip(reading.names[:4], point[:4], strict=True)
        at = ", ".join(f"{name}={value:.3g}" for name, value in shown)
        at += ", ..." if len(reading.names) > 4 else ""
        reading.warn(
            row,
            f"{formula(culprit)[:_SHOWN]} has no real value at {at} ({share:.0%} of the points"
            " of the box that were tried); such points count as infeasible",
        )


def _culprit(node: Node, names: Sequence[str], point: Any) -> Node:
    """Return the first part of the formula that is NaN at `point`."""
    values: dict[int, float] = {}
    places = {name: i for i, name in enumerate(names)}
    for part in walk(node):  # those below a node come before it, and are numbers by then
        if isinstance(part, Name):
            value = float(point[places[part.name]])
        else:
            value = constant_value(
                rebuilt(part, tuple(Number(values[id(b)]) for b in children(part)))
            )
        if math.isnan(value):
            return part
        values[id(part)] = value
    return node
