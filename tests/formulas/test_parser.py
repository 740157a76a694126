"""Texts become trees by a whitelist; everything else is refused with a caret at the place."""

from __future__ import annotations

import sys
import tracemalloc
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_constraints import ask_all, fuzz
from optdriver.constraints import ConstraintError, parse
from optdriver.errors import InputTypeError
from optdriver.formulas.tape import Tape
from optdriver.formulas.tokens import MAX_LENGTH
from tests.formulas.texts import NAMES, constraints


def caret(error: ConstraintError) -> str:
    """Return the character of the text above the first caret."""
    _, shown, pointer = str(error).split("\n")
    return shown[pointer.index("^")] if pointer.index("^") < len(shown) else ""


def evaluated(text: str, **values: float) -> float:
    names = sorted(values)
    (_, node), *_ = parse(text, names).rows()
    return Tape([node], names)([values[name] for name in names])[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x^2", -9.0),
        ("2^-x", 0.125),
        ("2^x^2", 512.0),
        ("2**x**2", 512.0),
        ("-x**2", -9.0),
        ("x - 2 - 1", 0.0),
        ("x - (2 - 1)", 2.0),
        ("12/x/2", 2.0),
        ("12/x*2", 8.0),
        ("12/(x*2)", 2.0),
        ("--x", 3.0),
        ("+x", 3.0),
        ("2*-x", -6.0),
        ("1e1 + .5 + 2. + x", 15.5),
        ("atan2(0, x) + hypot(x, 4)", 5.0),
        ("min(x, 1, 2) + max(x, 4, 2)", 5.0),
        ("round(2.5) + trunc(-1.5) + floor(-1.5) + ceil(1.2) + sign(-x)", 0.0),
        ("log2(8) + log10(100) + log(E) - pi + PI - e + E", 6.0),
        ("\tx\n+ 1\r", 4.0),
    ],
)
def test_formulas_mean_what_mathematics_says(text: str, value: float) -> None:
    assert evaluated(text, x=3.0) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("x - 1", [("<=", "x - 1")]),
        ("x <= y", [("<=", "x - y")]),
        ("x < y", [("<=", "x - y")]),
        ("x >= y", [("<=", "y - x")]),
        ("x > y", [("<=", "y - x")]),
        ("x == y", [("==", "x - y")]),
        ("x <= 0", [("<=", "x")]),
        ("x >= 0", [("<=", "-x")]),
        ("0 <= x - y <= 3", [("<=", "-(x - y)"), ("<=", "x - y - 3")]),
        ("x <= y == 3 >= x", [("<=", "x - y"), ("==", "y - 3"), ("<=", "x - 3")]),
    ],
)
def test_relations_and_chains_become_rows(text: str, rows: list[tuple[str, str]]) -> None:
    expected = [(kind, parse(formula).operands[0]) for kind, formula in rows]
    assert parse(text).rows() == expected


HOSTILE = [
    ("__import__('os').system('x')", "'"),
    ("().__class__", "."),
    ("x1.__class__", "."),
    ("lambda x1: x1", ":"),
    ("lambda", "l"),
    ("[x1 for x1 in x2]", "["),
    ("{x1}", "{"),
    ("x1[0]", "["),
    ("f'{x1}'", "'"),
    ('"x1"', '"'),
    ("(x1 := 3)", ":"),
    ("x1 if x2 else x3", "i"),
    ("x1 and x2", "a"),
    ("not x1", "n"),
    ("x1 @ x2", "@"),
    ("x1 // x2", "/"),
    ("x1 % 2", "%"),
    ("x1; x2", ";"),
    ("x1\\", "\\"),
    ("x1 # comment", "#"),
    ("x1 = 1", "="),
    ("x1 != 1", "!"),
    ("x1 <> 1", ">"),
    ("x1 <= <= 1", "<"),
    ("x1\0", "\N{REPLACEMENT CHARACTER}"),
    ("\x1b[31mx1", "\N{REPLACEMENT CHARACTER}"),
    ("x1 \N{MINUS SIGN} 1", "\N{MINUS SIGN}"),
    ("x1 \N{MULTIPLICATION SIGN} 2", "\N{MULTIPLICATION SIGN}"),
    ("x1 \N{LESS-THAN OR EQUAL TO} 2", "\N{LESS-THAN OR EQUAL TO}"),
    ("x1\N{NO-BREAK SPACE}+ 1", "\N{REPLACEMENT CHARACTER}"),
    ("x1 + \N{ZERO WIDTH SPACE}x2", "\N{REPLACEMENT CHARACTER}"),
    ("\N{CYRILLIC SMALL LETTER HA}1", "\N{CYRILLIC SMALL LETTER HA}"),
    ("\N{FULLWIDTH LATIN SMALL LETTER X}1", "\N{FULLWIDTH LATIN SMALL LETTER X}"),
    ("x\N{SUPERSCRIPT ONE}", "x"),
    ("x1\N{SUPERSCRIPT TWO}", "x"),
    ("\N{ARABIC-INDIC DIGIT ONE}", "\N{ARABIC-INDIC DIGIT ONE}"),
    ("\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ONE}", "\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ONE}"),
    ("2x1", "x"),
    ("2(x1)", "("),
    ("0x10", "x"),
    ("1_000", "_"),
    ("1j", "j"),
    ("1e", "e"),
    ("1.2.3", "."),
    ("1e999", "1"),
    ("9" * 400, "9"),
    ("9**9**9**9", "9"),
    ("x1^1001", "1"),
    ("x1^-99999", "-"),
    ("x1^(10^10)", "("),
    ("x1 x2", "x"),
    ("x1 +", ""),
    ("", ""),
    ("   ", ""),
    ("(x1", "("),
    ("x1)", ")"),
    ("()", ")"),
    ("(x1 <= 1)", "<"),
    ("max(x1 <= 1, 2)", "<"),
    (",", ","),
    ("sin", "s"),
    ("sin x1", "s"),
    ("sin()", "s"),
    ("sin(x1, x2)", "s"),
    ("max(x1)", "m"),
    ("max(x1,)", ")"),
    ("x1(2)", "x"),
    ("pi(2)", "p"),
    ("eval(x1)", "e"),
    ("exec(x1)", "e"),
    ("open(x1)", "o"),
    ("getattr(x1, x2)", "g"),
    ("p0 + k0", "p"),
    ("numpy", "n"),
    ("zoo", "z"),
    ("nan", "n"),
    ("inf", "i"),
    ("oo", "o"),
    ("I", "I"),
    ("__builtins__", "_"),
    ("_", "_"),
]


@pytest.mark.parametrize(("text", "place"), HOSTILE)
def test_what_is_not_in_the_grammar_is_refused_with_a_caret_at_the_place(
    text: str, place: str
) -> None:
    with pytest.raises(ConstraintError) as caught:
        parse(text, NAMES)
    assert caret(caught.value) == place


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "(" * 9_999 + "x1" + ")" * 9_999, "-" * 15_000 + "x1"]
)
def test_ten_thousand_levels_are_refused_at_the_level_that_is_too_deep(text: str) -> None:
    with pytest.raises(ConstraintError, match="50 levels") as caught:
        parse(text, NAMES)
    assert caught.value.position == 50


def test_powers_cannot_be_stacked_too_deep() -> None:
    with pytest.raises(ConstraintError, match="50 levels"):
        parse("^".join(["x1"] * 100), NAMES)


def test_a_text_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(ConstraintError, match=f"at most {MAX_LENGTH}") as caught:
        parse("\0" * (MAX_LENGTH + 1), NAMES)
    assert caught.value.position == MAX_LENGTH


def test_little_stack_left_is_an_error_of_ours_too() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            parse("(" * 49 + "x1" + ")" * 49, NAMES)

    used = len(_frames())
    with pytest.raises(ConstraintError, match="stack"):
        deep(sys.getrecursionlimit() - used - 60)


def _frames() -> list[object]:
    frame, found = sys._getframe(), []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("text", [5, None, b"x1 <= 1", ["x1"]])
def test_other_things_than_texts_are_refused(text: object) -> None:
    with pytest.raises(InputTypeError, match="is a text"):
        parse(text, NAMES)  # type: ignore[arg-type]


def test_the_names_are_not_one_text() -> None:
    with pytest.raises(InputTypeError, match="sequence of parameter names"):
        parse("x <= 1", "xyz")


@pytest.mark.parametrize(
    ("name", "names", "proposed"),
    [
        ("x3", ("x1", "x2"), "x2"),
        ("radus", ("x", "radius"), "radius"),
        ("Width", ("width", "depth"), "width"),
        ("sqr(4)", ("x",), "sqrt"),
        ("Pi", ("x",), "pi"),
    ],
)
def test_the_nearest_name_is_proposed(name: str, names: tuple[str, ...], proposed: str) -> None:
    with pytest.raises(ConstraintError, match=f"did you mean '{proposed}'"):
        parse(f"1 + {name}", names)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ln(x1)", "use log"),
        ("arcsin(x1)", "use asin"),
        ("pow(x1, 2)", r"use \^"),
        ("x1 = 1", "'=='"),
        ("x1 and x2", "two constraints"),
        ("2x1", r"write 2\*x1"),
        ("\N{CYRILLIC SMALL LETTER HA}1", "CYRILLIC SMALL LETTER HA"),
        ("\N{FULLWIDTH LATIN SMALL LETTER X}1", "looks like 'x1'"),
        ("x1(x2)", r"x1 \* \(...\)"),
        ("sin + 1", r"sin\(\.\.\.\)"),
    ],
)
def test_an_error_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(ConstraintError, match=hint):
        parse(text, NAMES)


@pytest.mark.parametrize("text", ["sin + 1 <= 2", "sin(x) <= 1"])
def test_a_parameter_with_the_name_of_a_function_must_be_renamed(text: str) -> None:
    with pytest.raises(ConstraintError, match="name of a function; rename"):
        parse(text, ("sin", "x"))


def test_a_parameter_with_the_name_of_a_constant_is_the_parameter() -> None:
    assert evaluated("e + pi - 3", e=1.0, pi=2.0) == 0.0
    assert parse("e + E", ("e",)).names == ("e",)


def test_names_beyond_ascii_are_parameters_only_if_they_are_listed() -> None:
    assert parse("größe <= 1", ("größe",)).names == ("größe",)
    assert parse("lambda <= 1", ("lambda",)).names == ("lambda",)
    with pytest.raises(ConstraintError, match="unknown name"):
        parse("größe <= 1")


def test_without_names_every_ascii_name_is_a_parameter() -> None:
    assert parse("a*b + sin(c) <= pi").names == ("a", "b", "c")


@given(constraints)
@example("a - (b - (c - d))".translate(str.maketrans("abcd", "1234")))
@example("x1/(x2/x3) - -(x1*x2)*x3")
@example("(-x1)^2 - (x1^x2)^x3 - x1^x2^x3 - -x1^-x2")
@example("1e300 <= 1e-300")
def test_printing_and_parsing_again_gives_an_equal_tree(text: str) -> None:
    parsed = parse(text, NAMES)
    again = parse(str(parsed), NAMES)
    assert again.operands == parsed.operands
    assert again.relations == parsed.relations
    assert str(again) == str(parsed)


@given(st.text(max_size=80))
@settings(max_examples=500)
def test_any_text_parses_or_is_a_constraint_error(text: str) -> None:
    try:
        parse(text, NAMES)
    except ConstraintError as error:
        assert error.position is None or 0 <= error.position <= len(text)


def test_ten_thousand_fuzzed_texts_execute_nothing_and_raise_only_our_error() -> None:
    report = fuzz(10_000, seed=20)
    assert report.inputs == 10_000
    assert report.accepted > 500
    assert report.refused > 500


def test_a_study_of_any_text_is_refused_or_asked() -> None:
    asked = ask_all(60, seed=20)
    assert not asked.faults
    assert asked.seen["asked"] > 5
    assert asked.seen["refused: ConstraintError"] > 20


LONGEST = [
    "+".join(["x1"] * (MAX_LENGTH // 3)),
    "*".join(["x1"] * (MAX_LENGTH // 3)),
    "x1^2-" * (MAX_LENGTH // 5 - 1) + "x2",
    " " * (MAX_LENGTH - 2) + "x1",
    "x" * MAX_LENGTH,
    "1" * MAX_LENGTH,
    "(" * MAX_LENGTH,
    ("sin(" * 40 + "x1" + ")" * 40 + "+") * 90 + "x1",
    "<=".join(["x1"] * (MAX_LENGTH // 4)),
    "max(" + ",".join(["x1"] * (MAX_LENGTH // 3 - 4)) + ")",
    "2^(" * 40 + "1" + ")" * 40,
    "(1+" * 48 + "2^(1+1)" + ")" * 48,
    "x1^(1" + "+0" * 9_000 + ")",
]


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
def test_the_work_grows_with_the_text_and_takes_less_than_100_megabytes(text: str) -> None:
    assert len(text) <= MAX_LENGTH
    tracemalloc.start()
    try:
        _parse_and_print(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6
    assert _calls(text) <= 200 * len(text)  # about a second for the longest


def _calls(text: str) -> int:
    """Count the calls that parsing and printing a text takes, of Python and of C functions."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event.endswith("call")

    sys.setprofile(counted)
    try:
        _parse_and_print(text)
    finally:
        sys.setprofile(None)
    return count


def _parse_and_print(text: str) -> None:
    try:
        parse(str(parse(text, NAMES)), NAMES)
    except ConstraintError:
        return
