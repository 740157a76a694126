"""The programs of a small set say what its rows say, taken apart term by term."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet, parse
from optdriver.constraints.assembly import Assembly
from optdriver.formulas.evaluation import Evaluation
from optdriver.formulas.programs import FEW_ROWS, MOST_VARIABLES, MOST_WITH_FEW_ROWS, system
from optdriver.formulas.rewrite import bound
from optdriver.geometry.steps import Program
from tests.formulas.test_derivatives import FORMULAS

NAMES = ("x1", "x2", "x3")


def nodes(texts, names=NAMES):
    return [bound(parse(text, names).operands[0], {}, text) for text in texts]


def test_values_have_the_bits_of_the_text_and_derivatives_are_those_of_its_terms():
    rows = nodes(FORMULAS)
    made, apart, values = system(rows, NAMES), Assembly(rows, NAMES), Evaluation(rows, NAMES)
    assert made is not None
    generator = np.random.default_rng(5)
    for x in generator.uniform(0.3, 2.5, (5, 3)):
        multipliers = generator.normal(size=len(rows))
        assert made.values(x).tolist() == values(x).tolist()
        np.testing.assert_allclose(made.jacobian(x), apart.jacobian(x), rtol=1e-12, atol=1e-12)
        hessian = made.hessian(x, multipliers)
        expected = apart.hessian(x, multipliers)
        np.testing.assert_allclose(
            hessian, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max()
        )
        assert (hessian == hessian.T).all()


def test_a_linear_row_needs_no_operation_for_its_slopes():
    made = system(nodes(["2*x1 - x2/4 + 3", "x3 - x1"]), NAMES)
    assert made.slopes.count == 0
    assert made.bends.width == 0
    assert made.jacobian(np.zeros(3)).tolist() == [[2.0, -0.25, 0.0], [-1.0, 0.0, 1.0]]
    assert made.hessian(np.zeros(3), np.ones(2)).tolist() == [[0.0] * 3] * 3


def test_programs_read_what_they_are_given_and_no_more():
    made = system(nodes(["x1^2 + x2", "x2*x3"]), NAMES)
    assert (made.values.size, made.slopes.size, made.bends.size) == (3, 3, 5)
    for program in (made.values, made.slopes, made.bends):
        with pytest.raises(ValueError, match=f"a program of {program.size} numbers and 2 given"):
            program(np.zeros(2))


def test_what_is_not_finite_is_not_given_but_taken_apart():
    texts = ["x1*log(x1) + x2*x3", "sqrt(x2)"]
    made = system(nodes(texts), NAMES)
    x = np.zeros(3)
    assert made.jacobian(x) is None
    assert made.hessian(x, np.ones(2)) is None
    whole = ConstraintSet([f"{text} <= 1" for text in texts], NAMES, [(0, 1)] * 3)
    assert whole.jacobian(x).tolist() == [[-1e12, 0.0, 0.0], [0.0, 1e12, 0.0]]
    assert np.isfinite(whole.hessian(x, np.ones(2))).all()


def variables(n):
    return tuple(f"x{i + 1}" for i in range(n))


def test_large_sets_have_no_programs():
    names = variables(MOST_WITH_FEW_ROWS)
    assert system(nodes(["x1^2"], names), names) is None
    few = names[:-1]
    assert system(nodes(["x1^2"], few), few) is not None
    many = variables(MOST_VARIABLES)
    rows = [f"x{i + 1}^2" for i in range(MOST_VARIABLES // FEW_ROWS + 1)]
    assert system(nodes(rows, many), many) is None
    assert system(nodes(rows[1:], many), many) is not None
    assert system(nodes(rows, many[:-1]), many[:-1]) is not None
    coupled = nodes([f"({' + '.join(many)})^2"], many)  # one sweep a variable over all of them
    assert system(coupled, many) is None


def test_few_rows_over_some_hundred_variables_are_taken_apart_for_runs_that_began_so():
    names = variables(MOST_VARIABLES)
    text = " + ".join(f"sin({name})*{name}" for name in names) + " <= 9"
    now = ConstraintSet([text], names, [(-1, 2)] * len(names))
    before = now.by_rule(7)
    assert now.by_rule(8) is now
    assert before.system is None
    assert now.system is not None
    old, units = pickle.loads(pickle.dumps(now)), 2.0
    old.__setstate__(now.__getstate__()[:2])  # as optdriver 0.9.0 pickled it
    data = now.to_dict()
    data.pop("programs")
    kept = (before, old, ConstraintSet.from_dict(data), before.rescaled(units))
    kept += (pickle.loads(pickle.dumps(before)), ConstraintSet.from_dict(before.to_dict()))
    assert [made.system for made in kept] == [None] * len(kept)
    for made in (pickle.loads(pickle.dumps(now)), ConstraintSet.from_dict(now.to_dict())):
        assert made.system is not None
    for x in np.random.default_rng(4).uniform(-1.0, 2.0, (5, len(names))):
        assert before.values(x).tolist() == now.values(x).tolist()
        np.testing.assert_allclose(before.jacobian(x), now.jacobian(x), rtol=1e-13, atol=1e-15)
        expected = before.hessian(x, [0.7])
        np.testing.assert_allclose(now.hessian(x, [0.7]), expected, rtol=1e-13, atol=1e-15)


def test_lengths_are_taken_apart_for_runs_that_began_so():
    text = "log2(hypot(2.5, x2) + x3/x1) <= 1.8"
    now = ConstraintSet([text], NAMES, [(1, 2)] * 3)
    before = now.by_rule(4)
    assert now.by_rule(5) is now
    assert (before.system, before.rescaled(2.0).system) == (None, None)
    assert now.system is not None
    differ = False
    for x in np.random.default_rng(3).uniform(1.0, 2.0, (50, 3)):
        assert before.values(x).tolist() == now.values(x).tolist()
        np.testing.assert_allclose(before.jacobian(x), now.jacobian(x), rtol=1e-14)
        differ = differ or before.jacobian(x).tolist() != now.jacobian(x).tolist()
    assert differ


def test_units_multiply_the_derivatives():
    texts = ["x1^2*x2 <= 1", "exp(x3) + x1 == 2"]
    whole = ConstraintSet(texts, NAMES, [(0, 1)] * 3)
    units = np.array([0.5, 4.0, 2.0])
    other, x, w = whole.rescaled(units), np.array([0.3, 0.2, 0.1]), np.array([0.7, -1.1])
    np.testing.assert_array_equal(other.values(x / units), whole.values(x))
    np.testing.assert_array_equal(other.jacobian(x / units), whole.jacobian(x) * units)
    expected = whole.hessian(x, w) * np.outer(units, units)
    np.testing.assert_array_equal(other.hessian(x / units, w), expected)


def test_steps_of_one_operation_are_together_and_give_what_they_gave_one_by_one():
    plain = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
    plain |= {"square": lambda a: a * a, "abs": abs, "max": max}
    generator = np.random.default_rng(2)
    constants, size = [0.5, -2.0], 4
    for count in (0, 1, 7, 60):
        steps, first = [], size + len(constants)
        for i in range(count):
            name = str(generator.choice(list(plain)))
            arguments = 1 if name in ("square", "abs") else 2
            steps.append((name, tuple(generator.integers(0, first + i, arguments).tolist())))
        outputs = generator.integers(0, first + count, 5).tolist()
        made, x = Program(size, constants, steps, outputs), generator.uniform(-1.0, 1.0, size)
        registers = [*x.tolist(), *constants]
        with np.errstate(all="ignore"):
            for name, where in steps:
                registers.append(plain[name](*(np.float64(registers[i]) for i in where)))
        expected = np.array([registers[i] for i in outputs])
        np.testing.assert_array_equal(made(x), expected)
        np.testing.assert_array_equal(made.many(np.array([x, x])), [expected, expected])
        assert (made.count, made.groups <= count) == (count, True)


def test_a_sum_of_squares_takes_three_groups():
    texts = [" + ".join(f"(x{i} - {i}.5)^2" for i in (1, 2, 3)), "(x1 + x2) + x3"]
    made = system(nodes(texts[:1]), NAMES)
    assert (made.values.count, made.values.groups) == (8, 3)
    assert system(nodes(texts), NAMES).values.groups == 3
