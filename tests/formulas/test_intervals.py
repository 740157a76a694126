"""What interval arithmetic says of a formula holds at every point of the box."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.constraints import parse
from optdriver.errors import ConstraintError
from optdriver.formulas.convexity import Curvature, curvature
from optdriver.formulas.intervals import interval
from optdriver.formulas.rewrite import affine, bound
from optdriver.formulas.syntax import Node, Slot
from optdriver.formulas.tape import Tape
from tests.formulas.texts import NAMES, formulas

sides = st.one_of(
    st.tuples(st.floats(-3.0, 3.0), st.floats(0.0, 2.0)).map(lambda p: (p[0], p[0] + p[1])),
    st.sampled_from([(0.0, 1.0), (-math.inf, 0.0), (0.5, math.inf), (-math.inf, math.inf)]),
)
fractions = st.tuples(*[st.floats(0.0, 1.0)] * 3)


def formula(text: str) -> Node:
    return bound(parse(text, NAMES).operands[0], {}, text)


def inside(low: float, high: float, fraction: float) -> float:
    low, high = max(low, -1e3), min(high, 1e3)
    return min(max(low + fraction * (high - low), low), high)


@given(formulas, st.tuples(sides, sides, sides), fractions)
def test_every_value_is_in_the_interval(
    text: str,
    box: tuple[tuple[float, float], ...],
    fraction: tuple[float, float, float],
) -> None:
    try:
        node = formula(text)
    except ConstraintError:
        return
    found = interval(node, dict(zip(NAMES, box, strict=True)))
    point = [inside(*side, f) for side, f in zip(box, fraction, strict=True)]
    value = Tape([node], NAMES)(point)[0]
    if math.isnan(value):
        assert found.undefined
    else:
        assert found.low <= value <= found.high


@given(formulas, st.tuples(sides, sides, sides), fractions, fractions)
def test_what_is_called_convex_lies_below_its_chords(
    text: str,
    box: tuple[tuple[float, float], ...],
    first: tuple[float, float, float],
    second: tuple[float, float, float],
) -> None:
    try:
        node = formula(text)
    except ConstraintError:
        return
    known = curvature(node, dict(zip(NAMES, box, strict=True)))
    ends = [[inside(*s, f) for s, f in zip(box, fs, strict=True)] for fs in (first, second)]
    middle = [0.5 * a + 0.5 * b for a, b in zip(*ends, strict=True)]
    tape = Tape([node], NAMES)
    a, b, m = tape(ends[0])[0], tape(ends[1])[0], tape(middle)[0]
    if not all(math.isfinite(v) and abs(v) < 1e12 for v in (a, b, m)):
        return
    slack = 1e-9 * max(1.0, abs(a), abs(b), abs(m))
    if known in (Curvature.CONVEX, Curvature.AFFINE, Curvature.CONSTANT):
        assert m <= 0.5 * (a + b) + slack
    if known in (Curvature.CONCAVE, Curvature.AFFINE, Curvature.CONSTANT):
        assert m >= 0.5 * (a + b) - slack


@given(formulas, fractions)
def test_what_is_called_affine_is_its_coefficients(
    text: str, point: tuple[float, float, float]
) -> None:
    try:
        form = affine(formula(text))
    except ConstraintError:
        return
    if form is None:
        return
    value = Tape([formula(text)], NAMES)(point)[0]
    parts = [form[1].get(name, 0.0) * x for name, x in zip(NAMES, point, strict=True)]
    size = max([1.0, abs(form[0]), *map(abs, parts)])
    assert math.isnan(value) or abs(value - form[0] - sum(parts)) <= 1e-9 * size * 1e3


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("x1^2 + x2^2", 0.0, 2.0),
        ("x1^3", -1.0, 1.0),
        ("1/(x1 + 2)", 1.0 / 3.0, 1.0),
        ("abs(x1) - max(x1, x2)", -1.0, 2.0),
        ("cosh(x1)", 1.0, math.cosh(1.0)),
        ("sqrt(x1 + 1)", 0.0, math.sqrt(2.0)),
        ("hypot(x1, x2)", 0.0, math.sqrt(2.0)),
        ("atan2(x1, x2) - sign(x3)", -4.2, 4.2),
        ("2^x1", 0.5, 2.0),
        ("acos(x1)", 0.0, math.pi),
    ],
)
def test_intervals_are_tight_where_a_parameter_occurs_once(
    text: str, low: float, high: float
) -> None:
    found = interval(formula(text), dict.fromkeys(NAMES, (-1.0, 1.0)))
    assert found.low == pytest.approx(low, abs=1e-12)
    assert found.high == pytest.approx(high, abs=1e-12)
    assert not found.undefined


def test_nothing_is_known_of_a_slot() -> None:
    assert interval(Slot(0), {}).undefined
    assert curvature(Slot(0), {}) is Curvature.UNKNOWN
