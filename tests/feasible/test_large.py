"""Large problems: sparse matrices give the steps of dense ones, in memory linear in the texts."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from optdriver.constraints import ConstraintSet
from optdriver.feasible import FeasibleMinimizer, region, sparse_newton
from optdriver.feasible.barrier import Point
from optdriver.feasible.models import sr1
from optdriver.feasible.options import LARGE
from optdriver.feasible.region import Region
from optdriver.feasible.sparse_newton import SparseFactor
from optdriver.feasible.trial import Local, subproblem
from optdriver.geometry.steps import COMPILED


def kinds(n):
    """Return rows of all kinds: chained, wide, a wide intermediate, equalities of both widths."""
    wide = " + ".join(f"x{i}^2" for i in range(1, n + 1))
    return [
        *(f"x{i}^2 + x{i + 1}*x{i} <= 3" for i in range(1, n)),
        f"{wide} <= {n / 2}",
        f"sqrt(1 + {wide}) + x1*x2 <= {n**0.5}",
        *(f"sin(x{3 * i + 1}) + x{3 * i + 2}^2 == x{3 * i + 3}" for i in range(n // 6)),
        " + ".join(f"x{i}" for i in range(1, n + 1)) + " == 1",
    ]


def made(n, x):
    constraints = ConstraintSet(kinds(n), [f"x{i}" for i in range(1, n + 1)], [(-2, 2)] * n)
    return region.region(constraints, constraints.lower, constraints.upper, x)


def dense_system(problem, p, raised):
    """Return the Newton matrix, condensed, written naively."""
    model, bend = problem.curvature, problem.hessian(p.t, p.lam, p.nu)
    eye = np.eye(len(p.t))
    matrix = np.column_stack([model @ column + bend @ column for column in eye])
    jac, eq = p.jac.toarray(), p.eq.toarray()
    matrix += jac.T @ np.diag(p.lam / p.s) @ jac + raised * eye
    matrix += np.diag(p.zl / (p.t - problem.lower) + p.zu / (problem.upper - p.t))
    return matrix, jac, eq


def random_point(problem, rng):
    t = 0.5 * (problem.lower + problem.upper) + 0.1 * rng.random(len(problem.lower))
    (c, e), (jac, eq) = problem.values(t), problem.jacobians(t)
    return Point(
        t=t,
        s=0.1 + rng.random(len(c)),
        lam=0.1 + rng.random(len(c)),
        nu=rng.standard_normal(len(e)),
        zl=0.1 + rng.random(len(t)),
        zu=0.1 + rng.random(len(t)),
        c=c,
        e=e,
        jac=jac,
        eq=eq,
    )


N = LARGE + 30


@pytest.fixture(scope="module")
def problem_at():
    cached = made(N, np.full(N, 0.1))

    def build(rng):
        steps = rng.standard_normal((5, N))
        model = sr1(steps, steps + 0.3 * rng.standard_normal((5, N)), 1.0)
        x, g = 0.1 * rng.standard_normal(N), rng.standard_normal(N)
        local = Local(region=cached, x=x, gradient=g, delta=0.7, tolerance=0.0)
        return subproblem(local, model)

    return build


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_a_step_by_sparse_factors_is_that_of_a_dense_solve(problem_at, seed):
    rng = np.random.default_rng(seed)
    problem = problem_at(rng)
    p = random_point(problem, rng)
    factor = SparseFactor.of(problem, p, [0.0, 10.0, 1e3, 1e5])
    matrix, jac, eq = dense_system(problem, p, factor.raised)
    q = len(p.e)
    gradient, mu = problem.slope(p.t), 0.01
    infeasible, off = p.c + p.s, p.e
    ratio = p.lam / p.s
    right = -(gradient + eq.T @ p.nu + jac.T @ (ratio * infeasible + mu / p.s))
    whole = np.block([[matrix, eq.T], [eq, np.zeros((q, q))]])
    wanted = np.linalg.solve(whole, np.concatenate([right, -off]))
    dt, dlam, dnu = factor.directions(p, gradient, mu, infeasible, off)
    size = np.max(np.abs(wanted))
    np.testing.assert_allclose(dt, wanted[:N], atol=1e-8 * size)
    np.testing.assert_allclose(dnu, wanted[N:], atol=1e-8 * size)
    slack = mu / p.s - p.lam + ratio * (infeasible + jac @ dt)
    np.testing.assert_allclose(dlam, slack, atol=1e-7 * np.max(np.abs(slack)))
    assert factor.curvature(dt, jac @ dt) == pytest.approx(dt @ matrix @ dt, rel=1e-8)


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_the_signs_of_the_pivots_tell_whether_the_step_is_one_of_descent(problem_at, seed):
    rng = np.random.default_rng(seed)
    problem = problem_at(rng)
    p = random_point(problem, rng)
    for raised in (0.0, 1.0, 30.0, 1e4):
        matrix, _, eq = dense_system(problem, p, raised)
        null = np.linalg.svd(eq)[2][len(eq) :].T
        lowest = np.linalg.eigvalsh(null.T @ matrix @ null)[0]
        if abs(lowest) > 1e-6 * np.abs(matrix).max():
            assert (SparseFactor.of(problem, p, [raised]) is not None) == (lowest > 0.0)


@pytest.mark.parametrize("corner", [0.0, 2.0])
def test_the_diagonal_is_raised_whether_it_is_stored_or_not(corner):
    matrix = np.array([[corner, 1.0, 0.0], [1.0, 3.0, 4.0], [0.0, 4.0, -1.0]])
    made = sparse_newton._raised(sparse.csc_array(matrix), 2, 0.5)
    np.testing.assert_array_equal(made.toarray(), matrix + np.diag([0.5, 0.5, 0.0]))


def test_equalities_that_say_the_same_are_no_trouble():
    rng = np.random.default_rng(0)
    eq = np.zeros((3, 8))
    eq[0, :2], eq[1, 3], eq[2] = 1.0, 2.0, eq[0] * 2.0 + eq[1]
    residual = rng.standard_normal(8)
    nu = sparse_newton.multipliers(eq, residual)
    best = np.linalg.lstsq(eq.T, -residual, rcond=None)[0]
    np.testing.assert_allclose(eq.T @ nu, eq.T @ best, atol=1e-6)


def valley(x):
    """Return neighbours that want to agree on different goals, with the gradient."""
    goal = 1.0 + 0.5 * np.sin(np.arange(len(x)))
    bends, away = x[1:] - x[:-1], x - goal
    g = 2.0 * away
    g[1:] += 2.0 * bends
    g[:-1] -= 2.0 * bends
    return float(away @ away + bends @ bends), g


CASES = {
    "chain": lambda n: [f"x{i}^2 + x{i + 1} <= 1.2" for i in range(1, n)],
    "wide": lambda n: [f"sqrt({' + '.join(f'x{i}^2' for i in range(1, n + 1))}) <= {n**0.5 / 2}"],
    "equalities": lambda n: [f"x{i + 1} == x{i} + 0.1*sin(x{i + 2})" for i in range(1, n - 1, 2)],
}


def start(case, n):
    return FeasibleMinimizer(np.full(n, 0.1), CASES[case](n))


def feasible(opt, x):
    return opt.constraints.is_feasible(x)


@pytest.mark.parametrize("case", CASES)
def test_sparse_and_dense_ways_end_at_the_same_minimum(case, monkeypatch):
    results = []
    for large in (LARGE, 10**9):
        monkeypatch.setattr(region, "LARGE", large)
        monkeypatch.setattr(region, "MOST_WITH_FEW_ROWS", large)
        opt = start(case, LARGE)
        assert opt._region.large == (large == LARGE)
        while not opt.done:
            x = opt.ask()
            assert feasible(opt, x)
            opt.tell(*valley(x))
        assert opt.result.success
        results.append(opt.result)
    np.testing.assert_allclose(results[0].x, results[1].x, atol=1e-5)
    assert results[0].fun == pytest.approx(results[1].fun, rel=1e-9)


def test_few_rows_are_dense_up_to_more_variables_and_as_before_for_former_rules():
    points = []
    for rule in (5, 6):
        opt = FeasibleMinimizer(np.full(LARGE, 0.1), CASES["wide"](LARGE), rule=rule)
        assert opt._region.large == (rule == 5)
        for _ in range(4):
            opt.tell(*valley(opt.ask()))
        assert feasible(opt, opt.ask())
        points.append(opt.ask())
        assert FeasibleMinimizer.from_dict(opt.to_dict())._region.large == (rule == 5)
    np.testing.assert_allclose(points[1], points[0], atol=1e-6)
    assert start("wide", 300)._region.large
    assert start("chain", LARGE)._region.large


def test_few_rows_are_programs_up_to_more_variables_but_for_former_rules():
    ball = [f"{' + '.join(f'x{i + 1}^2' for i in range(LARGE))} <= {LARGE / 4}"]
    runs = [FeasibleMinimizer(np.full(LARGE, 0.1), ball, rule=rule) for rule in (7, 8)]
    assert [run.constraints.system is None for run in runs] == [True, False]
    assert [run._region.formulas is None for run in runs] == [True, not COMPILED]
    twins = [FeasibleMinimizer.from_dict(run.to_dict()) for run in runs]
    twins += [pickle.loads(pickle.dumps(run)) for run in runs]
    for _ in range(4):
        for run in (*runs, *twins):
            run.tell(*valley(run.ask()))
    for run, twin, other in zip(runs, twins[:2], twins[2:], strict=True):
        assert run.ask().tolist() == twin.ask().tolist() == other.ask().tolist()
        assert feasible(run, run.ask())
    np.testing.assert_allclose(runs[1].ask(), runs[0].ask(), rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_a_large_run_goes_on_bit_for_bit_from_any_point(case):
    opt = start(case, LARGE)
    while not opt.done and opt.nfev < 5:
        other = pickle.loads(pickle.dumps(opt))
        x = opt.ask()
        opt.tell(*valley(x))
        other.tell(*valley(x))
        if not opt.done:
            assert other.ask().tobytes() == opt.ask().tobytes()


@pytest.mark.parametrize("case", CASES)
def test_no_array_of_n_squared_is_made(case):
    sizes = (300, 1200)
    peaks = []
    for n in sizes:
        opt = start(case, n)
        tracemalloc.start()
        for _ in range(2):
            if not opt.done:
                opt.tell(*valley(opt.ask()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6.0 * peaks[0]
    assert peaks[1] < 8 * sizes[1] ** 2  # one dense matrix
    assert isinstance(opt._region, Region)
