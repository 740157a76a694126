"""Rows of one form are evaluated together, to the same values as one by one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optdriver.constraints import parse
from optdriver.formulas.evaluation import Evaluation
from optdriver.formulas.tape import Tape

NAMES = tuple(f"v{i}" for i in range(40))
FORM = "{0}^2*{1} - {1}/3 + sqrt({0})*{3} - ({0} - {2})^1.5"


def rows() -> list[str]:
    """Return rows of one form, some of another, and one that stands alone, mixed."""
    texts = []
    for i in range(30):
        a, b = NAMES[i], NAMES[i + 7]
        texts.append(FORM.format(a, b, 0.1 * i, -0.5 - i))
        if i % 3 == 0:
            texts.append(f"min({a}, {b}*2) - max({b}, {i})")
    return [*texts, "+".join(NAMES), f"{NAMES[0]}*{NAMES[0]} - {NAMES[1]}*{NAMES[1]}"]


@given(st.integers(0, 1000))
def test_values_are_those_of_the_tape(seed: int) -> None:
    nodes = [parse(text, NAMES).operands[0] for text in rows()]
    evaluation, tape = Evaluation(nodes, NAMES), Tape(nodes, NAMES)
    x = np.random.default_rng(seed).normal(size=40)
    together, alone = evaluation.by_parts(x), np.array(tape(x))
    assert evaluation(x).tobytes() in (together.tobytes(), alone.tobytes())
    assert (np.isnan(together) == np.isnan(alone)).all()
    real = ~np.isnan(alone)
    assert np.allclose(together[real], alone[real], rtol=1e-15, atol=1e-15)
    assert evaluation.by_parts(x).tobytes() == together.tobytes()
    assert evaluation.many(np.array([x, x])).shape == (2, len(nodes))
    assert len(evaluation._parts[1]._forms) == 1


def test_a_missing_value_in_one_row_leaves_the_others_alone() -> None:
    nodes = [parse(f"log({name}) + 1", NAMES).operands[0] for name in NAMES]
    x = np.ones(40)
    x[3] = -1.0
    evaluation = Evaluation(nodes, NAMES)
    for values in (evaluation(x), evaluation.by_parts(x), evaluation.many(x[None])[0]):
        assert math.isnan(values[3])
        assert (np.delete(values, 3) == 1.0).all()


@given(st.integers(0, 1000))
def test_a_wide_sum_is_added_in_the_order_of_the_text(seed: int) -> None:
    names = [f"x{i}" for i in range(100)]
    terms = " - ".join(f"{i + 1}.5*{name}^2" for i, name in enumerate(names))
    texts = [f"-{terms}", f"sqrt(1e4 + x3 + {' + '.join(names)})*x1 - 3", "x1 + x2"]
    nodes = [parse(text, names).operands[0] for text in texts]
    x = np.random.default_rng(seed).normal(size=100)
    alone = np.array(Tape(nodes, names)(x))
    assert Evaluation(nodes, names)(x).tobytes() == alone.tobytes()
    assert Evaluation(nodes, names).by_parts(x).tobytes() == alone.tobytes()
