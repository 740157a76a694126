"""Steps are checked, and rows that contradict each other weighed by their violations, by rule 2."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.hs import EQUALITIES, INEQUALITIES
from benchmarks.outputs import case_of, ours
from optdriver import SQP, MultiStart
from optdriver.errors import InputError
from optdriver.sqp import quadratic
from optdriver.sqp.quadratic import Rows

NAMED = {problem.name: problem for problem in (*INEQUALITIES, *EQUALITIES)}


@pytest.mark.parametrize("name", ["HS109", "HS116"])
def test_a_stall_of_the_former_rule_is_none(name):
    case = case_of(NAMED[name])
    former, now = ours(case, rule=1), ours(case)
    assert former.solved_at is None
    assert former.note == "stalled"
    assert now.success
    assert now.solved_at is not None
    assert now.solved_at <= 20


def rows(A, a, E=None, e=()):
    n = np.asarray(A).shape[1]
    equal = np.zeros((0, n)) if E is None else np.asarray(E, dtype=float)
    return Rows(
        A=np.asarray(A, dtype=float),
        a=np.asarray(a, dtype=float),
        E=equal,
        e=np.asarray(e, dtype=float),
        soft_a=np.ones(len(a), dtype=bool),
        soft_e=np.ones(len(equal), dtype=bool),
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_step_holds_whatever_the_condition_of_the_model(seed):
    rng = np.random.default_rng(seed)
    n = 8
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    B = turn @ np.diag(np.logspace(-10, 7, n)) @ turn.T
    B = 0.5 * (B + B.T) + 1e-9 * np.eye(n)
    A, x = rng.standard_normal((10, n)), rng.uniform(-1.0, 1.0, n)
    given = rows(
        A, A @ x + np.where(np.arange(10) < 5, 0.0, 0.1), A[:2] - A[2:4], (A[:2] - A[2:4]) @ x
    )
    g = rng.standard_normal(n)
    step = quadratic.solve(g, B, given, np.full(n, -2.0), np.full(n, 2.0))
    assert step.consistent
    size = np.abs(step.d).max() * np.linalg.norm(A, axis=1).max() + np.abs(given.a).max()
    assert np.max(A @ step.d - given.a) <= 1e-5 * size
    assert np.max(np.abs(given.E @ step.d - given.e)) <= 1e-5 * size


def told(x):
    return (
        [x[0] ** 2 + x[1] ** 2, 1.0 - x[0] * x[1], x[0] - x[1] ** 3],
        [[2 * x[0], 2 * x[1]], [-x[1], -x[0]], [1.0, -3 * x[1] ** 2]],
    )


def test_a_run_of_a_version_without_rules_goes_on_by_the_first():
    run, twin = (SQP([3.0, 0.5], inequalities=1, equalities=1, rule=1) for _ in range(2))
    for opt in (run, twin):
        opt.tell(*told(opt.ask()))
    written = run.to_dict()
    del written["options"]["rule"]
    run = SQP.from_dict(written)
    while not twin.done:
        x = twin.ask()
        assert np.array_equal(run.ask(), x)
        run.tell(*told(x))
        twin.tell(*told(x))
    assert run.done
    assert run.to_dict()["options"]["rule"] == 1


@pytest.mark.parametrize(("constraint_rule", "rule"), [(8, 4), (7, 4), (6, 1)])
def test_the_rule_of_a_multi_start(constraint_rule, rule):
    driver = MultiStart(
        [(-4.0, 4.0)] * 2,
        method="trust-region-SQP",
        inequalities=("a",),
        jac=True,
        max_num_minimizers=1,
        constraint_rule=constraint_rule,
    )
    driver.ask(1)
    assert f"'rule': {rule}" in str(driver.to_dict())


@pytest.mark.parametrize("rule", [0, 5, 1.5, "2", True])
def test_what_is_no_rule(rule):
    with pytest.raises(InputError, match="rule"):
        SQP([1.0], rule=rule)
