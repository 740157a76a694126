"""Random formulas for the tests: texts of the grammar, and hostile ones."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("x1", "x2", "x3")
SMOOTH = ("sqrt", "exp", "log", "log10", "log2", "sin", "cos", "tan", "asin", "acos", "atan")
SMOOTH += ("sinh", "cosh", "tanh", "erf")
ROUGH = ("abs", "sign", "round", "trunc", "floor", "ceil")

numbers = st.one_of(
    st.integers(0, 20).map(str),
    st.floats(0.01, 100.0).map(repr),
    st.sampled_from(["pi", "E", "e", "PI", ".5", "1.", "2e-3", "1E+2"]),
)
leaves = st.one_of(st.sampled_from(NAMES), numbers)


def _larger(inner: st.SearchStrategy[str], functions: tuple[str, ...]) -> st.SearchStrategy[str]:
    spaces = st.sampled_from(["", " "])
    binary = st.builds(
        lambda a, s, o, b: f"{a}{s}{o}{s}{b}", inner, spaces, st.sampled_from("+-*/"), inner
    )
    return st.one_of(
        binary,
        inner.map("({})".format),
        inner.map("-{}".format),
        st.builds("({})^{}".format, inner, st.sampled_from(["2", "3", "-1", "0.5", "(1/3)", "-2"])),
        st.builds("{}**{}".format, st.sampled_from(NAMES), st.sampled_from(["2", "-x2", "1.5"])),
        st.builds("{}({})".format, st.sampled_from(functions), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["atan2", "hypot"]), inner, inner),
    )


smooth = st.recursive(leaves, lambda inner: _larger(inner, SMOOTH), max_leaves=12)
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        _larger(inner, SMOOTH + ROUGH),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
    ),
    max_leaves=20,
)
constraints = st.one_of(
    formulas,
    st.builds("{} {} {}".format, formulas, st.sampled_from(["<=", ">=", "==", "<", ">"]), formulas),
    st.builds("{} <= {} < {}".format, formulas, formulas, formulas),
)
points = st.tuples(*[st.floats(-3.0, 3.0)] * len(NAMES))
