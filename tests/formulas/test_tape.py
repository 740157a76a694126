"""Values are those of the formula as it is written, in floating point, and nothing else."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given

from optdriver.constraints import parse
from optdriver.formulas.tape import Tape, constant_value
from tests.formulas.texts import NAMES, formulas, points


def tape(*texts: str, names: tuple[str, ...] = NAMES) -> Tape:
    return Tape([parse(text, names).operands[0] for text in texts], names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1 + x2 - x3", 0.1 + 0.2 - 0.3),
        ("x1 + (x2 - x3)", 0.1 + (0.2 - 0.3)),
        ("x1*x2/x3", 0.1 * 0.2 / 0.3),
        ("x1/x3*x2", 0.1 / 0.3 * 0.2),
        ("x1^2", 0.1 * 0.1),
        ("x1^3", math.pow(0.1, 3.0)),
        ("x1^(1/3)", math.pow(0.1, 1.0 / 3.0)),
        ("(x1 + x2)*(x1 + x2) - x3", (0.1 + 0.2) * (0.1 + 0.2) - 0.3),
    ],
)
def test_operations_are_carried_out_in_the_order_in_which_they_are_written(
    text: str, expected: float
) -> None:
    assert tape(text)([0.1, 0.2, 0.3]) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqrt(x1)^2", math.nan),
        ("x1^0.5", math.nan),
        ("x1/x1 + 1/(x1 + 1)", math.inf),
        ("log(x1 + 1)", -math.inf),
        ("log(x1)", math.nan),
        ("exp(x1*-1000)", math.inf),
        ("x1^-1000*1e308*1e308", math.inf),
        ("(x1*1e200)^2", math.inf),
        ("asin(x1*2)", math.nan),
        ("0*log(x1)", math.nan),
        ("min(1, log(x1))", math.nan),
        ("max(log(x1), 1)", math.nan),
        ("floor(1/(x1 + 1))", math.inf),
        ("round(sqrt(x1))", math.nan),
        ("sign(sqrt(x1))", math.nan),
        ("cosh(x1*1000)", math.inf),
        ("atan2(sqrt(x1), 1)", math.nan),
    ],
)
def test_a_missing_value_is_nan_and_an_overflow_infinite_without_a_warning(
    text: str, expected: float
) -> None:
    made = tape(text)([-1.0, 0.0, 0.0])[0]
    assert made == expected or (math.isnan(made) and math.isnan(expected))
    many = tape(text).many(np.array([[-1.0, 0.0, 0.0]]))[0, 0]
    assert many == expected or (math.isnan(many) and math.isnan(expected))


def test_an_error_in_one_formula_leaves_the_others_alone() -> None:
    values = tape("log(x1)", "x2 + 1", "sqrt(x3)")([-1.0, 2.0, 4.0])
    assert math.isnan(values[0])
    assert values[1:] == [3.0, 2.0]


def test_a_subexpression_is_computed_once() -> None:
    shared = tape("exp(x1*x2) + 1", "exp(x1*x2) - 1", "x1*x2")
    assert len(shared.steps) == 4


def test_constants_have_values() -> None:
    assert constant_value(parse("2^0.5*pi").operands[0]) == math.pow(2.0, 0.5) * math.pi
    assert math.isnan(constant_value(parse("sqrt(-1)").operands[0]))


@given(formulas, points)
def test_many_points_at_once_have_the_values_of_each_to_the_last_bits(
    text: str, point: tuple[float, float, float]
) -> None:
    made = tape(f"sin({text})", text, "x1^2 + x2 - 3")
    columns = np.array([[0.5, 0.5, 0.5], point, [1.0, 2.0, 3.0]])
    many, one = made.many(columns), np.array(made(point))
    assert many.shape == (3, 3)
    assert many[1, 2] == one[2]
    # A difference in the last bit can be magnified, or jump, on its way through a formula.
    assert np.isfinite(many[1, 1]) == np.isfinite(one[1]) or abs(one[1]) > 1e300


def test_a_slot_has_no_place_on_a_tape() -> None:
    from optdriver.formulas.syntax import Slot

    with pytest.raises(TypeError, match="no Slot"):
        Tape([Slot(3)], NAMES)


EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 1e308, -1e308, 1e-308, math.inf, -math.inf]


def test_one_point_many_points_and_plain_python_agree_to_the_bit() -> None:
    texts = ["x^y", "x^0.5 + y^-1", "log(x)*exp(y)", "round(x)/trunc(y)", "floor(x) + 1/ceil(y)"]
    texts += ["sign(x)*abs(y)", "min(x, y) - max(x, y)", "atan2(x, y)", "tan(x)/sinh(y)"]
    texts += [
        "cosh(x) - tanh(y)",
        "hypot(x, y)",
        "asin(x) + acos(y)",
        "log2(x) + log10(y)",
        "sqrt(x) - erf(y)",
    ]
    source = np.random.default_rng(4)
    points = np.vstack([source.choice([*EXTREMES, math.nan], (60, 2)), source.normal(size=(60, 2))])
    made = Tape([parse(f"{text} <= 0", ["x", "y"]).rows()[0][1] for text in texts], ["x", "y"])
    plain = copy.copy(made)
    plain._program = None
    for x, *both in zip(points, made.many(points), plain.many(points), strict=True):
        wanted = [v.hex() for v in plain(x)]
        assert [v.hex() for v in made(x)] == [v.hex() for v in made.at(x)] == wanted
        assert all([v.hex() for v in values.tolist()] == wanted for values in both)


def test_slopes_are_tamed_alike_at_one_point_and_at_many():
    tape = Tape.of(1, [], [("slope", (0,))], [1])
    slopes = [math.nan, math.inf, -math.inf, 2e12, -3.5, 0.0]
    tamed = [0.0, 1e12, -1e12, 2e12, -3.5, 0.0]
    assert tape.many(np.array(slopes)[:, None])[:, 0].tolist() == tamed
    assert [tape([slope])[0] for slope in slopes] == tamed
