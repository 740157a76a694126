"""Rows are taken for multiples of each other only if they are."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet, parse
from optdriver.constraints.assembly import Assembly, Equation
from optdriver.constraints.identity import canonical, factor
from optdriver.formulas.rewrite import bound
from optdriver.formulas.syntax import Node
from optdriver.geometry.matrices import dense

NAMES = ("x", "y", "z")


def ratio(first: str, second: str) -> float | None:
    nodes = [bound(parse(t, NAMES).operands[0], {}, t) for t in (first, second)]
    return factor(*canonical(nodes, NAMES))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("x - y", "y - x", -1.0),
        ("2*x*y - 3", "1.5 - y*x", -2.0),
        ("0.1*x + y/5 - 0.3", "x + 2*y - 3", 0.1),
        ("exp(x)*y - z", "z - y*exp(x)", -1.0),
        ("x*y/z - 1", "2 - 2*y*x/z", -0.5),
        ("sqrt(x^2 + y^2) - z", "3*z - 3*sqrt(x^2 + y^2)", -1.0 / 3.0),
        ("(x + y)*2 - z", "z - 2*x - 2*y", -1.0),
    ],
)
def test_multiples_are_found(first: str, second: str, expected: float) -> None:
    assert ratio(first, second) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x - y", "x + y"),
        ("x*y - 1", "-x*y + 1.0000000001"),
        ("exp(x) - y", "z - exp(x)"),
        ("exp(x) - 1e-12*y", "2e-12*y - exp(x)"),
        ("1e16*x + y", "-1e16*x - 1.1*y"),
        ("x^2 - y", "y - x^3"),
        ("sin(x) - 1", "1 - sin(y)"),
    ],
)
def test_what_only_looks_alike_stays_apart(first: str, second: str) -> None:
    assert ratio(first, second) is None


@pytest.mark.parametrize("last", ["exp(x*y)*z - 2", "abs(x)*y - max(y, z, x*z)*x"])
def test_what_is_cut_for_canonical_forms_serves_derivatives(last: str) -> None:
    """With a row that needs intermediates, which are numbered from one formula to the next."""
    texts = ["(x - 0.5)^2 + y*z - 1", last, "x*sin(y) - z", "max(y, z, x*z)*x - 3"]
    nodes = [bound(parse(t, NAMES).operands[0], {}, t) for t in texts]
    known: dict[int, tuple[Node, Equation]] = {}
    canonical(nodes, NAMES, known)
    assert id(nodes[0]) in known and id(nodes[3]) not in known
    x, weights = np.array([0.3, -1.2, 0.7]), np.array([1.0, -2.0, 0.5, 3.0])
    with_known, alone = Assembly(nodes, NAMES, cut=known), Assembly(nodes, NAMES)
    assert dense(with_known.jacobian(x)).tolist() == dense(alone.jacobian(x)).tolist()
    bends = (dense(made.hessian(x, weights)).tolist() for made in (with_known, alone))
    assert next(bends) == next(bends)


def test_rows_that_differ_by_little_are_two_inequalities() -> None:
    texts = ["exp(x) - 5*y <= 0", "6*y - exp(x) <= 0"]
    cs = ConstraintSet(texts, NAMES, [(0, 600)] * 3)
    assert (cs.n_inequalities, cs.n_equalities) == (2, 0)


def test_an_inequality_that_follows_from_an_equality_is_dropped() -> None:
    for texts in (["x*y == 1", "2*x*y <= 2"], ["2*x*y <= 2", "x*y == 1"]):
        cs = ConstraintSet(texts, NAMES, [(0, 6)] * 3)
        assert (cs.n_inequalities, cs.n_equalities) == (0, 1)
