"""The set as a vector function: order, scales, feasibility, units, state."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.constraints import ConstraintSet, ConstraintWarning
from optdriver.errors import InputError, InputTypeError

TEXTS = ["x1 + x2 == 1.5", "x1^2 + x2^2 <= r^2", "x1*x2*x3 >= -0.5", "x3 == x1^2"]
NAMES = ("x1", "x2", "x3")


def mixed() -> ConstraintSet:
    return ConstraintSet(TEXTS, NAMES, [(-2, 2)] * 3, fixed={"r": 1.5}, reference=[1.0, 0.5, 1.0])


def test_inequalities_come_before_equalities_in_all_that_is_returned() -> None:
    cs, x, multipliers = mixed(), [1.0, 0.5, 2.0], np.array([1.0, 10.0, 100.0, 1000.0])
    assert (cs.n_inequalities, cs.n_equalities, len(cs), cs.n) == (2, 2, 4, 3)
    assert cs.names == (TEXTS[1], TEXTS[2], TEXTS[0], TEXTS[3])
    assert cs.values(x).tolist() == [1.25 - 2.25, -0.5 - 1.0, 0.0, 1.0]
    jacobian = [[2.0, 1.0, 0.0], [-1.0, -2.0, -0.5], [1.0, 1.0, 0.0], [-2.0, 0.0, 1.0]]
    assert cs.jacobian(x).tolist() == jacobian
    assert cs.jacobian_sparse(x).toarray().tolist() == jacobian
    hessian = [[2.0 - 2000.0, -20.0, -5.0], [-20.0, 2.0, -10.0], [-5.0, -10.0, 0.0]]
    assert cs.hessian(x, multipliers).tolist() == hessian
    assert cs.hessian_sparse(x, multipliers).toarray().tolist() == hessian
    v = np.array([1.0, -2.0, 3.0])
    assert cs.hessian_product(x, multipliers, v) == pytest.approx(np.array(hessian) @ v)
    assert cs.linear.tolist() == [False, False, True, False]
    assert cs.convex.tolist() == [True, False, True, False]
    assert repr(cs) == "ConstraintSet(2 inequalities, 2 equalities, 3 parameters)"


@given(st.lists(st.tuples(*[st.floats(-2.0, 2.0)] * 3), min_size=1, max_size=5))
def test_many_points_at_once_have_the_values_of_each(
    points: list[tuple[float, float, float]],
) -> None:
    cs = mixed()
    one = np.array([cs.values(p) for p in points])
    assert np.allclose(cs.values_many(points), one, rtol=1e-15, atol=1e-15)


def test_scales_are_powers_of_two_about_as_large_as_the_gradients() -> None:
    cs = ConstraintSet(
        ["1000*x1^2 + x2 <= 1", "0.001*x1*x2 <= 0.01", "x1 + x2 - 3"],
        ("x1", "x2"),
        [(-9, 9)] * 2,
        reference=[1.0, 2.0],
    )
    norms = np.linalg.norm(cs.jacobian([1.0, 2.0]), axis=1)
    assert (np.abs(np.log2(cs.scales / norms)) <= 0.5 + 1e-12).all()
    assert (np.exp2(np.rint(np.log2(cs.scales))) == cs.scales).all()


def test_scales_are_finite_where_the_gradient_vanishes_or_does_not_exist() -> None:
    texts = ["x1^2 + x2^2 <= 1", "sqrt(x1^2 + x2^2) <= 1", "sqrt(abs(x1)) <= 1", "x1^2 <= x2^2"]
    cs = ConstraintSet(texts, ("x1", "x2"), [(-2, 2)] * 2)
    assert np.isfinite(cs.scales).all()
    assert (cs.scales > 0.0).all()


def test_violation_is_scaled_and_names_the_row_that_is_worst() -> None:
    cs = ConstraintSet(["16*x1 + 16*x2 <= 16", "x1 - x2 == 0"], ("x1", "x2"))
    assert cs.violation([2.0, 2.0]) == 48.0 / cs.scales[0]
    assert cs.worst([2.0, 2.0]) == ("16*x1 + 16*x2 <= 16", 48.0 / cs.scales[0])
    assert cs.worst([0.0, -3.0]) == ("x1 - x2 == 0", 3.0 / cs.scales[1])
    assert cs.violation([0.5, 0.5]) == 0.0


def test_an_inequality_must_hold_to_the_last_bit() -> None:
    cs = ConstraintSet("x1^2 + x2 <= 1", ("x1", "x2"))
    assert cs.is_feasible([0.0, 1.0])
    assert not cs.is_feasible([0.0, np.nextafter(1.0, 2.0)])
    assert cs.is_feasible([0.0, np.nextafter(1.0, 2.0)], slack=1e-9)
    assert not cs.is_feasible([0.0, 1.0 + 1e-8], slack=1e-9)


def test_an_equality_must_hold_to_1e_10_scaled() -> None:
    cs = ConstraintSet("1024*x1 - 1024*x2 == 0", ("x1", "x2"))
    assert cs.is_feasible([0.5 + 0.9e-10, 0.5])
    assert not cs.is_feasible([0.5 + 1.5e-10, 0.5])


def test_a_point_outside_the_box_is_not_feasible() -> None:
    cs = ConstraintSet(["x1 <= 0.5", "x1 + x2 <= 9"], ("x1", "x2"), [(-1, 1), (-1, 9)])
    assert cs.is_feasible([0.5, 1.0])
    assert not cs.is_feasible([0.6, 1.0])
    assert not cs.is_feasible([0.0, -1.1])


def test_a_missing_value_is_not_feasible() -> None:
    with pytest.warns(ConstraintWarning, match="no real value"):
        cs = ConstraintSet("log(x1) <= 1", ["x1"], [(-1, 1)])
    assert not cs.is_feasible([-0.5])
    assert cs.violation([-0.5]) == np.inf
    assert np.isfinite(cs.jacobian([-0.5])).all()


def test_a_set_without_rows_is_a_box() -> None:
    for constraints in (None, [], "x1 <= 0.5"):
        cs = ConstraintSet(constraints, ("x1", "x2"), [(0, 1), (0, 1)])
        assert len(cs) == 0
        assert cs.values([0.1, 0.2]).shape == (0,)
        assert cs.jacobian([0.1, 0.2]).shape == (0, 2)
        assert cs.hessian([0.1, 0.2], []).shape == (2, 2)
        assert cs.values_many(np.zeros((4, 2))).shape == (4, 0)
        assert cs.violation([0.1, 0.2]) == 0.0
        assert cs.worst([0.1, 0.2]) == ("", 0.0)
        assert cs.is_feasible([0.1, 0.2])
        assert cs.project([3.0, -3.0]).x.tolist() == [cs.upper[0], 0.0]


@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 1)])
def test_points_and_multipliers_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    cs = mixed()
    with pytest.raises(InputError, match="x has shape"):
        cs.values(np.zeros(shape))
    with pytest.raises(InputError, match="multipliers have shape"):
        cs.hessian(np.zeros(3), np.zeros((*shape, 7)))


def test_the_set_survives_pickle_copy_and_json_with_the_same_bits() -> None:
    cs, x = mixed(), np.array([0.3, 0.7, 0.9])
    data = json.loads(json.dumps(cs.to_dict()))
    others = [pickle.loads(pickle.dumps(cs)), copy.copy(cs), copy.deepcopy(cs)]
    for other in [*others, ConstraintSet.from_dict(data)]:
        assert other.names == cs.names
        assert other.values(x).tobytes() == cs.values(x).tobytes()
        assert other.jacobian(x).tobytes() == cs.jacobian(x).tobytes()
        assert other.hessian(x, np.ones(4)).tobytes() == cs.hessian(x, np.ones(4)).tobytes()
        assert other.scales.tolist() == cs.scales.tolist()
        assert other.to_dict() == cs.to_dict()


def test_another_process_computes_the_same_bits() -> None:
    cs, x = mixed(), np.array([0.3, 0.7, 0.9])
    program = (
        "import sys, pickle, numpy as np\n"
        "cs = pickle.load(sys.stdin.buffer)\n"
        "x = np.array([0.3, 0.7, 0.9])\n"
        "parts = cs.values(x), cs.jacobian(x), cs.hessian(x, np.ones(4))\n"
        "print(b''.join(p.tobytes() for p in parts).hex())\n"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=pickle.dumps(cs),
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        parts = cs.values(x), cs.jacobian(x), cs.hessian(x, np.ones(4))
        assert done.stdout.decode().strip() == b"".join(p.tobytes() for p in parts).hex()


def test_what_is_read_back_does_not_warn_again() -> None:
    with pytest.warns(ConstraintWarning):
        cs = ConstraintSet(["1 <= 2", "x1 + x2 <= 1"], ("x1", "x2"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(cs))
        ConstraintSet.from_dict(cs.to_dict())


def test_from_dict_refuses_other_things() -> None:
    with pytest.raises(InputTypeError, match="from_dict takes"):
        ConstraintSet.from_dict({"a": 1})
    with pytest.raises(InputError, match="version 2"):
        ConstraintSet.from_dict({**mixed().to_dict(), "version": 2})


def test_rescaled_is_the_same_set_in_other_units() -> None:
    cs, units = mixed(), np.array([4.0, 0.5, 2.0])
    other, x, multipliers = cs.rescaled(units), np.array([1.0, 0.5, 2.0]), np.arange(1.0, 5.0)
    z = x / units
    assert other.lower.tolist() == (cs.lower / units).tolist()
    assert other.values(z).tolist() == cs.values(x).tolist()
    assert other.values_many([z]).tolist() == cs.values_many([x]).tolist()
    assert other.jacobian(z).tolist() == (cs.jacobian(x) * units).tolist()
    expected = units[:, None] * cs.hessian(x, multipliers) * units
    assert other.hessian(z, multipliers).tolist() == expected.tolist()
    v = np.array([1.0, 2.0, 3.0])
    assert other.hessian_product(z, multipliers, v) == pytest.approx(expected @ v)
    assert ConstraintSet.from_dict(other.to_dict()).values(z).tolist() == cs.values(x).tolist()
    assert pickle.loads(pickle.dumps(other)).values(z).tolist() == cs.values(x).tolist()
    back = other.rescaled(1.0 / units)
    assert back.jacobian(x).tolist() == cs.jacobian(x).tolist()


@pytest.mark.parametrize("units", [0.0, -1.0, np.inf, np.nan])
def test_units_are_positive_and_finite(units: float) -> None:
    with pytest.raises(InputError, match="positive and finite"):
        mixed().rescaled(units)


def test_a_set_can_be_shared_between_threads() -> None:
    cs, x = mixed(), np.array([0.3, 0.7, 0.9])
    expected, found = cs.hessian(x, np.ones(4)).tobytes(), []

    def work() -> None:
        for _ in range(50):
            found.append(cs.hessian(x, np.ones(4)).tobytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 200


def test_a_large_set_is_sparse_throughout_and_linear_in_memory() -> None:
    names = [f"v{i}" for i in range(1000)]
    texts = [f"{a}^2 + {b}*{a} <= 1" for a, b in itertools.pairwise(names)]
    texts.append(" + ".join(f"{v}^2" for v in names) + " == 1000")
    cs = ConstraintSet(texts, names, [(-2, 2)] * 1000)
    x, multipliers = np.full(1000, 0.7), np.ones(1000)
    jacobian, hessian = cs.jacobian_sparse(x), cs.hessian_sparse(x, multipliers)
    assert jacobian.nnz == 2 * 999 + 1000
    assert hessian.nnz == 1000 + 2 * 999
    units = np.exp2(np.arange(1000) % 3)
    scaled = cs.rescaled(units)
    assert np.allclose(
        scaled.jacobian_sparse(x / units).toarray(), jacobian.toarray() * units, rtol=1e-15
    )
    assert scaled.hessian_sparse(x / units, multipliers).nnz == hessian.nnz


def test_texts_need_no_sympy() -> None:
    program = (
        "import sys\n"
        "sys.modules['sympy'] = None\n"
        "import optdriver\n"
        "assert 'optdriver.constraints' not in sys.modules\n"
        "from optdriver.constraints import ConstraintSet, parse\n"
        "parse('sin(x1)^2 <= 1', ['x1'])\n"
        "made = ConstraintSet('x1^2 + exp(x2) <= 2', ['x1', 'x2'])\n"
        "assert made.project([3, 3]).feasible\n"
    )
    env = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
