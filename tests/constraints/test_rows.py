"""What becomes of the texts: rows, bounds, pieces, equalities, and what the user is told."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.constraints import ConstraintError, ConstraintSet, ConstraintWarning
from optdriver.errors import InputError, InputTypeError

NAMES = ("x1", "x2", "x3")
BOX = [(-1.0, 2.0)] * 3


def made(constraints: Any, **options: Any) -> ConstraintSet:
    options.setdefault("bounds", BOX)
    return ConstraintSet(constraints, NAMES, **options)


def quiet(constraints: Any, **options: Any) -> ConstraintSet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstraintWarning)
        return made(constraints, **options)


def kinds(cs: ConstraintSet) -> tuple[int, int]:
    return cs.n_inequalities, cs.n_equalities


@pytest.mark.parametrize(
    ("text", "side", "value"),
    [
        ("x1 <= 0.3", "upper", 0.3),
        ("0.3 >= x1", "upper", 0.3),
        ("x1 >= 0.3", "lower", 0.3),
        ("-x1 <= 0.3", "lower", -0.3),
        ("2*x1 - 1 <= 0", "upper", 0.5),
        ("x1/4 - 0.25", "upper", 1.0),
        ("1 - 2*(x1 + r) <= 4", "lower", -0.5),
    ],
)
def test_a_bound_in_disguise_goes_into_the_box(text: str, side: str, value: float) -> None:
    cs = made(text, fixed={"r": -1.0})
    assert len(cs) == 0
    assert getattr(cs, side)[0] == value
    assert list(cs.bound_names) == [(0, side)]


@given(
    st.floats(0.01, 100.0), st.floats(-10.0, 10.0), st.floats(-50.0, 50.0), st.sampled_from("+-")
)
def test_a_bound_satisfies_the_text_in_floating_point_and_is_as_far_as_it_can_be(
    slope: float, offset: float, limit: float, sign: str
) -> None:
    text = f"{sign}{slope!r}*x1 + {offset!r} <= {limit!r}".replace("+ -", "- ")
    cs = ConstraintSet(text, NAMES)
    value = float(cs.upper[0] if sign == "+" else cs.lower[0])
    beyond = math.nextafter(value, math.inf if sign == "+" else -math.inf)
    factor = slope if sign == "+" else -slope

    def holds(x: float) -> bool:
        left = factor * x + offset if offset >= 0 else factor * x - -offset
        return left - limit <= 0.0

    assert holds(value)
    assert value == (limit - offset) / factor or not holds(beyond)


def test_an_equation_for_one_parameter_fixes_it() -> None:
    cs = made("x2 == 0.5")
    assert len(cs) == 0
    assert cs.lower[1] == cs.upper[1] == 0.5
    assert cs.bound_names == {(1, "lower"): "x2 == 0.5", (1, "upper"): "x2 == 0.5"}


def test_the_tightest_of_several_bounds_counts() -> None:
    cs = quiet(["x1 <= 0.5", "x1 <= 0.25", "x1 <= 0.4"])
    assert cs.upper[0] == 0.25
    assert cs.bound_names == {(0, "upper"): "x1 <= 0.25"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("max(x1*x2, x2*x3) <= 1", 2),
        ("x1*x2 + max(x1*x3, x2*x3, x3^2) <= 1", 3),
        ("abs(x1*x2) <= 0.5", 2),
        ("abs(x1*x2) + abs(x2*x3) <= 0.5", 4),
        ("3*abs(x1*x2) - 1", 2),
        ("min(x1*x2, x2*x3) >= -0.5", 2),
        ("-min(x1*x2, -abs(x2*x3)) <= 0.5", 3),
        ("max(abs(x1*x2), x3^2) <= 1/2", 3),
        ("-(-max(x1*x2, x2*x3)) <= 0.1", 2),
    ],
)
def test_kinks_are_split_where_that_is_exact(text: str, rows: int) -> None:
    cs = made(text)
    assert kinds(cs) == (rows, 0)
    assert cs.smooth.all()
    assert not cs.unions.any()
    assert cs.names == tuple(f"{cs.names[0][:-3]}[{i + 1}]" for i in range(rows))


@given(
    st.sampled_from(
        [
            "max(x1*x2, x2*x3) - 1",
            "abs(x1*x2) + x3 - abs(2)",
            "2*abs(x1 - x2)/3 + max(x1, x3) - 1",
            "x1 - min(x2, x3^2, 0.5) - -2*abs(x3)",
        ]
    ),
    st.tuples(*[st.floats(-1.0, 2.0)] * 3),
)
def test_pieces_hold_exactly_where_the_whole_holds(
    text: str, point: tuple[float, float, float]
) -> None:
    from optdriver.constraints import parse
    from optdriver.formulas.tape import Tape

    whole = Tape([parse(text, NAMES).operands[0]], NAMES)(point)[0]
    cs = quiet(text)
    assert cs.is_feasible(point) == (whole <= 0.0)


@pytest.mark.parametrize(
    "text", ["min(x1, x2) <= 0.5", "abs(x1) >= 0.5", "1 - max(x1, x2) <= 0", "-2*abs(x1) <= -1"]
)
def test_a_union_is_kept_whole_and_labelled(text: str) -> None:
    cs = made(text)
    assert kinds(cs) == (1, 0)
    assert cs.unions.tolist() == [True]
    assert cs.smooth.tolist() == [False]
    assert any("union" in note.message for note in cs.notes)


def test_too_many_pieces_stay_one_row_with_kinks() -> None:
    cs = made("abs(x1) + abs(x2) + abs(x3) + abs(x1 - x2) + abs(x2 - x3) <= 1")
    assert kinds(cs) == (1, 0)
    assert cs.smooth.tolist() == [False]
    assert cs.convex.tolist() == [True]
    assert any("kinks" in note.message for note in cs.notes)


@pytest.mark.parametrize("function", ["round", "trunc", "floor", "ceil", "sign"])
def test_steps_are_accepted_with_a_warning(function: str) -> None:
    with pytest.warns(ConstraintWarning, match="no gradient method can follow"):
        cs = made(f"{function}(2*x1) <= x2")
    assert cs.smooth.tolist() == [False]
    assert cs.is_feasible([0.1, 1.5, 0.0])
    assert not cs.is_feasible([1.9, 0.5, 0.0])


@pytest.mark.parametrize(
    "texts",
    [
        ["x1*x2 <= 1", "x1*x2 >= 1"],
        ["x1 + x2 - x3 <= 0.5", "2*x3 - 2*x2 - 2*x1 <= -1"],
        ["1 <= x1*x2 <= 1"],
        ["abs(x1 + x2 - 1) <= 0"],
        ["exp(x1) - x2", "x2 <= exp(x1)"],
    ],
)
def test_opposite_inequalities_become_an_equality(texts: list[str]) -> None:
    cs = made(texts)
    assert kinds(cs) == (0, 1)
    assert any("equality" in note.message for note in cs.notes)


def test_nearly_opposite_inequalities_stay_inequalities() -> None:
    assert kinds(made(["x1*x2 <= 1", "x1*x2 >= 1 - 1e-9"])) == (2, 0)


def test_exact_copies_are_dropped_and_others_noted() -> None:
    cs = made(["x1*x2 <= 1", "x1*x2 <= 1", "2*x1*x2 <= 2", "x1*x2 == 0.5", "2*x1*x2 == 1"])
    assert kinds(cs) == (2, 1)
    assert sum("means the same" in note.message for note in cs.notes) == 3


def test_what_always_holds_is_dropped_with_a_warning() -> None:
    for text, message in [
        ("1 <= 2", "no free parameter"),
        ("r <= 2", "no free parameter"),
        ("x1 - x1 <= 0.5", "no free parameter"),
        ("x1 <= 5", "inside the bounds"),
        ("x1^2 + x2 <= 100", "in the box"),
        ("1 == 1", "no free parameter"),
    ]:
        with pytest.warns(ConstraintWarning, match=message):
            assert len(made(text, fixed={"r": 1.0})) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 <= 1", "never holds"),
        ("r >= 2", "never holds"),
        ("1 == 2", "never holds"),
        ("x1 - x1 + 1 <= 0", "never holds"),
        ("x1 >= 3", "its bounds -1 and 2"),
        ("x1 == 3", "its bounds -1 and 2"),
        ("x1^2 + 1 <= 0", "between 1 and 5"),
        ("x1 + x2 == 9", "cannot hold in the box"),
        ("x1 + x2 == -9", "cannot hold in the box"),
        ("exp(x1) + cosh(x2) <= 1", "cannot hold in the box"),
    ],
)
def test_what_never_holds_is_an_error_that_names_the_constraint(text: str, message: str) -> None:
    with pytest.raises(ConstraintError, match=message) as caught:
        made({"name": "tight", "constraint": text}, fixed={"r": 1.0})
    assert "'tight'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("sqrt(x1) <= 1", r"sqrt\(x1\)"),
        ("1 + log(x1*x2) <= 5", r"log\(x1\*x2\)"),
        ("x1^0.5 + x2 <= 1", r"x1\^0.5"),
        ("asin(x2) <= 1", r"asin\(x2\)"),
    ],
)
def test_missing_values_inside_the_box_are_said_with_the_place(text: str, part: str) -> None:
    with pytest.warns(ConstraintWarning, match=f"{part} has no real value at x1="):
        cs = made(text)
    assert not cs.is_feasible([-0.5, 1.5, 0.0])
    assert math.isinf(cs.violation([-0.5, 1.5, 0.0]))


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("sqrt(-1) + x1 <= 1", "no finite real value", 0),
        ("x1 <= 1e308*10", "overflows", 6),
        ("x1 + 1/0 <= 1", "divides by zero", 7),
        ("x1/(r - 1) <= 1", "divides by zero", 4),
        ("x1^big <= 1", "exponent is at most 1000", 3),
        ("x1/(x2 - x2) <= 1", "without a derivative", 0),
        ("x1 <= x9", "unknown name 'x9'", 6),
    ],
)
def test_errors_point_at_the_place(text: str, message: str, position: int) -> None:
    with pytest.raises(ConstraintError, match=message) as caught:
        quiet(text, fixed={"r": 1.0, "big": 1e6})
    assert caught.value.position == position
    named = {"name": "load", "constraint": text}
    with pytest.raises(ConstraintError, match=f"constraint 'load'.*{message}") as caught:
        quiet(named, fixed={"r": 1.0, "big": 1e6})
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "convex"),
    [
        ("x1^2 + x2^2 <= 1", True),
        ("x1^2 + x1*x2 + x2^2 <= 1", True),
        ("x1^2 + 3*x1*x2 + x2^2 <= 1", False),
        ("sqrt(x1^2 + 2*(x2 - 1)^2 + 1) <= 1.1", True),
        ("hypot(x1, x2 - x3) <= 1", True),
        ("x1^2 + x2^2 >= 1", False),
        ("exp(x1 + x2) - x3 <= 1", True),
        ("exp(exp(x1)) <= 3", True),
        ("x1 + x2 <= 1", True),
        ("-sqrt(x1 + 5) + x2 <= 0", True),
        ("1/(x1 + 2) <= x2", True),
        ("1/(x1 + 2)^2 <= x2", True),
        ("2/(x1 - 3) >= x2", True),
        ("(x1 + 1)^3 <= 1 + x2", True),
        ("x1^3 <= 1 + x2", False),
        ("x1*x2 <= 0.1", False),
        ("log(x1 + 2) >= x2", True),
        ("log(x1 + 2) <= x2", False),
        ("cosh(x1) + abs(x2 - x3) + max(x1, x2)^2/9 <= 2", False),
        ("(x1 + 2)^1.5 <= x2 + 3", True),
        ("x1^0.5 >= x2", True),
        ("sin(x1) <= x2", False),
        ("x1*x2 + x3 == 0.1", False),
        ("x1 + x2 == 0.1", True),
        ("(3*x1 - 2)^2/4 - 2*(x2 + x3) <= 0", True),
        ("x1^2/2 - min(x2, x3) <= 1", True),
    ],
)
def test_convexity_is_found_where_the_rules_tell(text: str, convex: bool) -> None:
    cs = quiet(text)
    assert cs.convex.all() == convex
    assert bool(cs.linear.all()) == (text in ("x1 + x2 <= 1", "x1 + x2 == 0.1"))


@pytest.mark.parametrize(
    ("constraints", "error", "message"),
    [
        (5, InputTypeError, "texts such as"),
        ([5], InputTypeError, "constraint 1"),
        ([{"name": "a", "constraints": "x1 <= 1"}], InputError, "did you mean 'constraint'"),
        ([{"name": "a"}], ConstraintError, "with one text"),
        ([{"constraint": "x1 <= 1", "expression": "x1"}], ConstraintError, "with one text"),
        ([{"constraint": 3}], ConstraintError, "with one text"),
        ([{"name": "a", "constraint": "x1*x2"}] * 2, ConstraintError, "two constraints are called"),
    ],
)
def test_other_things_than_constraints_are_refused(
    constraints: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        made(constraints)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"names": "xyz"}, InputTypeError, "sequence of parameter names"),
        ({"names": [1, 2]}, InputTypeError, "sequence of parameter names"),
        ({"names": ["a", "b", "a"]}, InputError, "'a' is named twice"),
        ({"bounds": [(0, 1)]}, InputError, "3 pairs of bounds"),
        ({"bounds": [(0, 1), (2, 1), (0, 1)]}, InputError, "'b' leave nothing"),
        ({"bounds": 3}, InputTypeError, "pairs"),
        ({"bounds": [(0, math.nan)] * 3}, InputError, "leave nothing"),
        ({"fixed": {"a": 1.0}}, InputError, "both free and fixed"),
        ({"fixed": {"r": "one"}}, InputTypeError, "needs a number"),
        ({"fixed": {"r": math.inf}}, InputError, "finite number"),
        ({"reference": [0.0]}, InputError, "finite point"),
    ],
)
def test_bad_arguments_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    names = options.pop("names", ["a", "b", "c"])
    bounds = options.pop("bounds", None)
    with pytest.raises(error, match=message):
        ConstraintSet("a + b <= 1", names, bounds, **options)


def test_rows_are_named_by_their_texts_or_as_the_user_says() -> None:
    cs = made(
        [
            {"name": "circle", "constraint": "x1^2 + x2^2 <= r^2"},
            {"expression": "x1*x2<=0.1"},
            "0 <= x1 - x2 <= 0.5",
            "x1*x2 + " + "x3*x1 + " * 20 + "x3 <= 1",
        ],
        fixed={"r": 0.9},
    )
    assert cs.names == (
        "circle",
        "x1*x2 <= 0.1",
        "0 <= x1 - x2 <= 0.5[1]",
        "0 <= x1 - x2 <= 0.5[2]",
        "constraint 4",
    )


def test_a_parameter_called_e_is_noted() -> None:
    cs = ConstraintSet("e*x <= 1", ["e", "x"], [(0, 2)] * 2)
    assert any("not the constant" in note.message for note in cs.notes)
