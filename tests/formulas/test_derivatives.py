"""Values, Jacobians and Hessians are SymPy's and JAX's, of the whole formula, to 1e-12."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from numpy.typing import NDArray

from optdriver.constraints import ConstraintError, parse
from optdriver.constraints.assembly import MAX_SLOTS, Assembly
from optdriver.formulas.derivatives import Graph, sweep
from optdriver.formulas.rewrite import bound
from optdriver.formulas.syntax import Node
from optdriver.formulas.tape import Tape
from optdriver.formulas.templates import signature, template
from optdriver.geometry.matrices import dense
from tests.contracts.positions import one_in
from tests.formulas.texts import NAMES, points, smooth

Array = NDArray[np.float64]


def formula(text: str, names: tuple[str, ...] = NAMES) -> Node:
    return bound(parse(text, names).operands[0], {}, text)


def by_sympy(text: str, names: tuple[str, ...]) -> sympy.Expr:
    """Return the text as SymPy reads it: an independent road, of trusted text."""
    known = {name: sympy.Symbol(name, real=True) for name in names}
    known |= {"e": sympy.E, "PI": sympy.pi, "asin": sympy.asin, "acos": sympy.acos}
    known |= {"log10": lambda x: sympy.log(x, 10), "log2": lambda x: sympy.log(x, 2)}
    known |= {"hypot": lambda x, y: sympy.sqrt(x**2 + y**2)}
    exact = sympy.sympify(text.replace("^", "**"), locals=known, rational=True)
    return sympy.sympify(exact)


@functools.cache
def exact_derivatives(
    text: str, names: tuple[str, ...], x: tuple[float, ...]
) -> tuple[Array, Array]:
    """Return gradient and Hessian by SymPy in 50 digits; NaN where they are not real."""
    expression = by_sympy(text, names)
    symbols = [sympy.Symbol(name, real=True) for name in names]
    at = {s: sympy.Float(v, 50) for s, v in zip(symbols, x, strict=True)}

    def value(e: sympy.Expr) -> float:
        made = e.subs(at).evalf(50)
        return float(made) if made.is_real and made.is_finite else math.nan

    gradient = [expression.diff(s) for s in symbols]
    hessian = [[value(g.diff(s)) for s in symbols] for g in gradient]
    return np.array([value(g) for g in gradient]), np.array(hessian)


def computed(text: str, names: tuple[str, ...], x: tuple[float, ...]) -> tuple[Array, Array]:
    made = Assembly([formula(text, names)], names)
    point = np.array(x)
    return dense(made.jacobian(point))[0], dense(made.hessian(point, np.ones(1)))


def assert_close(made: Array, exact: Array, tolerance: float = 1e-12) -> None:
    scale = max(1.0, float(np.abs(exact).max()))
    assert np.abs(made - exact).max() <= tolerance * scale


FORMULAS = [
    "sqrt(x1^2 + x2^2) - 2",
    "x1*x2*x3",
    "x1/x2/x3",
    "1/(x1*x2 + 3)",
    "x1^x2",
    "2^x1 + x1^-2 + x2^1.5 + x3^(1/3)",
    "(x1 - 2*x2)^3*(x3 - 1)^2",
    "exp(x1*x2) + log(x1) + log10(x2)*log2(x3)",
    "sin(x1)*cos(x2)*tan(x3/4)",
    "asin(x1/5) + acos(x2/5) + atan(x3)",
    "sinh(x1) + cosh(x2) + tanh(x3)",
    "erf(x1*x2 - 1)/x3 + erf(x3)^2",
    "atan2(x1, x2) + hypot(x2, x3)",
    "3*(x1 + 2*(x2 - x3/4)) - x1*(2 - 5)",
    "exp(sin(exp(sin(exp(sin(x1*x2))))))",
    "(x1 + x2 + x3 + x1*x2 + x2*x3 + x1*x3 + x1*x2*x3)^2",
    "sqrt(x1 + x2 + x3 + x1*x2 + x2*x3 + x1*x3 + x1*x2*x3)*x1 - x3",
    "x1*x2*x3*(x1 + 1)*(x2 + 1)*(x3 + 1)*(x1 - 1)*(x2 + 2)/(x3 + 2)/x1",
    "1/x1/x2/x3/(x1 + 1)/(x2 + 1)/(x3 + 1)/(x1 + 2)/(x2 + 2)",
    "x1*x2/x3/x1/x2/x3/(x1 + 3)*(x2 - 5)*(x1 + x3)/(x2 + 7)",
    "-(-x1 - -x2)^2",
    "x1^1*x2^0 + (x1*x2)^1",
    "sin(x1 + sin(x2 + sin(x3 + sin(x1 + sin(x2 + sin(x3 + sin(x1*x2*x3)))))))",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_derivatives_are_those_of_sympy(text: str) -> None:
    for x in [(1.3, 0.7, 2.1), (0.4, 1.9, 1.2), (2.0, 3.0, 0.5)]:
        gradient, hessian = computed(text, NAMES, x)
        exact_gradient, exact_hessian = exact_derivatives(text, NAMES, x)
        assert_close(gradient, exact_gradient)
        assert_close(hessian, exact_hessian)
        assert (hessian == hessian.T).all() or np.allclose(hessian, hessian.T, rtol=1e-14)


@given(smooth, points)
@settings(max_examples=150)
def test_derivatives_of_random_formulas_are_those_of_sympy(
    text: str, point: tuple[float, float, float]
) -> None:
    x = tuple(abs(v) + 0.25 for v in point)
    try:
        made = computed(text, NAMES, x)
    except ConstraintError:
        assume(False)
    exact = exact_derivatives(text, NAMES, x)
    assume(all(np.isfinite(e).all() and np.abs(e).max() < 1e8 for e in exact))
    margin = conditioning(text, x)
    assume(margin < 1e3)
    assert_close(made[0], exact[0], 1e-12 * max(1.0, margin))
    assert_close(made[1], exact[1], 1e-12 * max(1.0, margin))


def conditioning(text: str, x: tuple[float, ...]) -> float:
    """Return by how much the derivatives magnify a relative change of 1e-12 in the point."""
    moved = tuple(v * (1.0 + 1e-12) for v in x)
    first, second = exact_derivatives(text, NAMES, x), exact_derivatives(text, NAMES, moved)
    sizes = [max(1.0, float(np.abs(e).max())) for e in first]
    changes = [float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True)]
    worst = max(c / s for c, s in zip(changes, sizes, strict=True))
    return worst / 1e-12 if math.isfinite(worst) else math.inf


class ByJax:
    """Value, gradient and Hessian of a trusted text by JAX in double precision."""

    functions: ClassVar = {
        **{name: getattr(jnp, name) for name in ("sqrt", "exp", "log", "log10", "log2", "hypot")},
        **{name: getattr(jnp, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        **{name: getattr(jnp, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "atan2")},
        "erf": jax.scipy.special.erf,
        **dict.fromkeys(("pi", "PI"), math.pi),
        **dict.fromkeys(("e", "E"), math.e),
    }

    def __init__(self, text: str) -> None:
        self.code = compile(text.replace("^", "**"), "formula", "eval")
        both = jax.value_and_grad(self.value)
        self.made = jax.jit(lambda x: (*both(x), jax.hessian(self.value)(x)))  # compiled once

    def value(self, x: jax.Array) -> jax.Array:
        known = dict(zip(NAMES, x, strict=True))
        return jnp.asarray(eval(self.code, {**self.functions, **known}), dtype=float)

    def all(self, x: Sequence[float]) -> list[Array]:
        with jax.enable_x64(True):
            return [np.array(each) for each in self.made(jnp.array(x))]


def all_of_ours(text: str, x: Sequence[float]) -> list[Array]:
    value = np.array(Tape([formula(text)], NAMES)(list(x))[0])
    return [value, *computed(text, NAMES, tuple(x))]


@pytest.mark.parametrize("text", one_in(4, FORMULAS))
def test_values_and_derivatives_are_those_of_jax(text: str) -> None:
    oracle = ByJax(text)
    for x in np.random.default_rng(3).uniform(0.3, 2.5, (2, 3)).tolist():
        for ours, theirs in zip(all_of_ours(text, x), oracle.all(x), strict=True):
            assert_close(ours, theirs)


@given(smooth, points)
@settings(max_examples=40, deadline=None)
def test_random_formulas_have_the_values_and_derivatives_of_jax(
    text: str, point: tuple[float, float, float]
) -> None:
    x = [abs(v) + 0.25 for v in point]
    try:
        ours, oracle = all_of_ours(text, x), ByJax(text)
        theirs, moved = oracle.all(x), oracle.all([v * (1.0 + 1e-9) for v in x])
    except (ConstraintError, ZeroDivisionError, OverflowError):
        assume(False)
    assume(all(np.isfinite(each).all() and np.abs(each).max() < 1e8 for each in theirs))
    # what a formula makes of a relative change of 1e-9 in the point, it makes of rounding too
    sizes = [max(1.0, float(np.abs(each).max())) for each in theirs]
    changes = [float(np.abs(a - b).max()) for a, b in zip(theirs, moved, strict=True)]
    margin = max(change / size for change, size in zip(changes, sizes, strict=True)) / 1e-9
    assume(margin < 1e3)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, 1e-12 * max(1.0, margin))


def test_a_wide_row_is_cut_into_terms_and_intermediates() -> None:
    names = tuple(f"v{i}" for i in range(40))
    text = "sqrt(" + " + ".join(f"{i + 1}*{v}^2" for i, v in enumerate(names)) + ")"
    made = Assembly([formula(text, names)], names)
    x = np.linspace(0.5, 1.5, 40)
    weights = np.arange(1.0, 41.0)
    norm = math.sqrt(float(weights @ x**2))
    gradient = weights * x / norm
    assert_close(dense(made.jacobian(x))[0], gradient)
    hessian = np.diag(weights / norm) - np.outer(gradient, gradient) / norm
    assert_close(dense(made.hessian(x, np.ones(1))), hessian)
    v = np.cos(np.arange(40.0))
    assert_close(made.hessian_product(x, np.ones(1), v), hessian @ v)
    assert made.k == 1


def test_a_long_product_is_cut_into_short_ones() -> None:
    names = tuple(f"v{i}" for i in range(60))
    made = Assembly([formula("*".join(names), names)], names)
    x = np.linspace(0.9, 1.1, 60)
    product = math.prod(x)
    assert_close(dense(made.jacobian(x))[0], product / x)
    hessian = product / np.outer(x, x)
    np.fill_diagonal(hessian, 0.0)
    assert_close(dense(made.hessian(x, np.ones(1))), hessian)


def test_large_sets_are_sparse_and_agree_with_the_dense_ones() -> None:
    names = tuple(f"v{i}" for i in range(300))
    texts = [f"{a}^2*{b} - sin({b} - {i}/300)" for i, (a, b) in enumerate(_neighbours(names))]
    texts.append("exp(-(" + "+".join(f"{v}^2" for v in names) + ")/300)")
    made = Assembly([formula(t, names) for t in texts], names)
    x = np.cos(np.arange(300.0))
    jacobian, multipliers = made.jacobian(x), np.linspace(-1.0, 1.0, 300)
    assert jacobian.format == "csr"
    expected = np.zeros((300, 300))
    for i in range(299):
        expected[i, i] = 2.0 * x[i] * x[i + 1]
        expected[i, i + 1] = x[i] ** 2 - math.cos(x[i + 1] - i / 300)
    expected[299] = -2.0 / 300.0 * x * math.exp(-(x @ x) / 300.0)
    assert_close(dense(jacobian), expected)
    step = 1e-6 * np.sin(np.arange(300.0))
    difference = made.jacobian(x + step).T @ multipliers - made.jacobian(x - step).T @ multipliers
    product = dense(made.hessian(x, multipliers)) @ step
    assert np.allclose(product, difference / 2.0, rtol=0.0, atol=1e-12)
    assert np.allclose(made.hessian_product(x, multipliers, step), product, rtol=0.0, atol=1e-18)


def _neighbours(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(itertools.pairwise(names))


@pytest.mark.parametrize(
    ("text", "x", "gradient"),
    [
        ("abs(x1)", (2.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
        ("abs(x1)", (-2.0, 0.0, 0.0), (-1.0, 0.0, 0.0)),
        ("abs(x1)", (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
        ("max(x1, x2, 2*x3)", (1.0, 2.0, 3.0), (0.0, 0.0, 2.0)),
        ("min(x1, x2)^2", (3.0, 2.0, 3.0), (0.0, 4.0, 0.0)),
        ("min(x1, x1*x2) + max(x1, 5)", (3.0, 2.0, 3.0), (1.0, 0.0, 0.0)),
        ("floor(x1) + round(x2) + ceil(x1) + trunc(x3) + sign(x1)", (1.5, 2.5, 1.0), (0, 0, 0)),
        ("max(x1, x1) + min(2, x1, x1)", (3.0, 2.0, 3.0), (1.0, 0.0, 0.0)),
        ("floor(x1)*x2", (2.5, 1.0, 0.0), (0.0, 2.0, 0.0)),
        ("abs(x1*x2)^2", (-2.0, 3.0, 0.0), (-36.0, 24.0, 0.0)),
    ],
)
def test_kinks_have_one_sided_derivatives_and_steps_none(
    text: str, x: tuple[float, ...], gradient: tuple[float, ...]
) -> None:
    made, hessian = computed(text, NAMES, x)
    assert made.tolist() == list(gradient)
    assert np.isfinite(hessian).all()


def test_derivatives_that_do_not_exist_are_zero_and_infinite_ones_steep() -> None:
    gradient, hessian = computed("sqrt(x1^2 + x2^2)", NAMES, (0.0, 0.0, 0.0))
    assert gradient.tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(hessian).all()
    gradient, _ = computed("sqrt(x1)", NAMES, (0.0, 0.0, 0.0))
    assert gradient.tolist() == [1e12, 0.0, 0.0]


def test_terms_of_one_form_share_one_template() -> None:
    keys = {signature_of(t) for t in ["3*(x1 - 2)^2", "(x3 - 7.5)^2", "-0.1*(x2 - 1)^2"]}
    assert len(keys) == 1
    assert template(next(iter(keys))) is template(next(iter(keys)))


def signature_of(text: str) -> tuple[object, ...]:
    made = Assembly([formula(text)], NAMES)
    (group,) = made._groups
    assert group.slots.shape[0] <= MAX_SLOTS
    from optdriver.constraints.assembly import Cutter

    return signature(Cutter(NAMES).equation(formula(text)).terms[0][1])[0]


@pytest.mark.parametrize(
    ("text", "x", "gradient"),
    [
        ("x1*log(x1)", 0.0, -1e12),
        ("x1*sqrt(x1)", 0.0, 0.0),
        ("x1^1.5", 0.0, 0.0),
        ("x1^(1/3)", 0.0, 1e12),
        ("sqrt(sqrt(x1))", 0.0, 1e12),
        ("asin(x1)", 1.0, 1e12),
        ("-acos(x1)", 1.0, 1e12),
        ("exp(-1/x1^2)", 0.0, 0.0),
    ],
)
def test_an_infinite_slope_that_meets_a_zero_is_steep_first(
    text: str, x: float, gradient: float
) -> None:
    made, hessian = computed(text, NAMES, (x, 0.0, 0.0))
    assert made.tolist() == [gradient, 0.0, 0.0]
    assert np.isfinite(hessian).all()


@pytest.mark.parametrize("text", FORMULAS)
def test_sweeps_lose_no_digit(text: str) -> None:
    """The formula as one tape, differentiated as a whole, beside SymPy in 50 digits."""
    graph = Graph(3, 3)
    (output,) = graph.take(Tape([formula(text)], NAMES))
    first = sweep(graph, output)
    second = {i: sweep(graph, slope) for i, slope in first.items()}
    gradient = graph.tape([first.get(i, graph.constant(0.0)) for i in range(3)])
    bends = [second.get(i, {}).get(j, graph.constant(0.0)) for i in range(3) for j in range(3)]
    hessian = graph.tape(bends)
    for x in [(1.3, 0.7, 2.1), (0.4, 1.9, 1.2), (2.0, 3.0, 0.5)]:
        exact = exact_derivatives(text, NAMES, x)
        assert_close(np.array(gradient(x)), exact[0], 4e-15)
        assert_close(np.array(hessian(x)).reshape(3, 3), exact[1], 1e-14)


def test_derivatives_are_lists_of_numbers_and_known_operations() -> None:
    hostile = ("__import__", "os", "lambda", "größe")
    text = "__import__^2*sin(os) + lambda/größe"
    made = Assembly([formula(text, hostile)], hostile)
    for group in made._groups:
        for rows in (group.template.value, group.template.gradient._plain):
            assert {name for name, _ in rows.tape.steps} <= {
                "*", "+", "/", "negative", "sin", "cos", "square"
            }  # fmt: skip
            assert all(type(value) is float for value in rows.tape.constants)


def test_a_term_without_a_derivative_is_refused() -> None:
    with pytest.raises(ConstraintError, match="without a derivative"):
        Assembly([formula("x1/(x2 - x2)")], NAMES)


def test_huge_nested_powers_stay_numbers() -> None:
    text = "((((x1^1000)^1000)^1000)^1000)^1000"
    gradient, hessian = computed(text, NAMES, (0.5, 0.0, 0.0))
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()


def test_values_agree_with_mpmath() -> None:
    x = (1.3, 0.7, 2.1)
    for text in FORMULAS:
        made = Tape([formula(text)], NAMES)(x)[0]
        symbols = {sympy.Symbol(n, real=True): mpmath.mpf(v) for n, v in zip(NAMES, x, strict=True)}
        exact = float(by_sympy(text, NAMES).subs(symbols).evalf(30))
        assert made == pytest.approx(exact, rel=1e-12, abs=1e-12)
