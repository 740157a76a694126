"""The pieces of the method against naive oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.feasible import FeasibleMinimizer, models, trust
from optdriver.feasible.criticality import criticality
from optdriver.feasible.region import region
from optdriver.geometry import learning
from optdriver.geometry.products import growth


def compiled(rows, bounds, reference):
    made = ConstraintSet(rows, [f"x{i + 1}" for i in range(len(bounds))], bounds)
    return region(made, made.lower, made.upper, np.array(reference, dtype=float))


def quadratic_pairs(seed, n, count):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n, n))
    hessian = half + half.T
    steps = rng.standard_normal((count, n))
    return hessian, steps, steps @ hessian


def test_gradients_of_rows_are_computed_once_a_point():
    made = compiled(["x1^2 * x2 <= 1", "x1 + x2 == 3"], [(-5.0, 5.0)] * 2, [1.0, 2.0])
    x = np.array([1.5, -2.0])
    first = made.linearised(x)
    assert made.linearised(x.copy()) is first
    x[0] = 2.0
    c, e = made.linearised(x)
    assert (c / made.row_scale[0]).round(12).tolist() == [[-8.0, 4.0]]
    assert (e / made.row_scale[1]).round(12).tolist() == [[1.0, 1.0]]
    made.work.renew()
    assert made.linearised(x)[0] is not c


@given(st.integers(0, 2**31))
def test_sr1_learns_a_quadratic_from_n_steps(seed):
    hessian, steps, changes = quadratic_pairs(seed, 4, 4)
    model = models.sr1(steps, changes, 1.0)
    if model.vectors.shape[1] == 4:
        np.testing.assert_allclose(model.dense(), hessian, atol=1e-4 * np.abs(hessian).max())


@given(st.integers(0, 2**31))
def test_damped_bfgs_stays_positive_definite(seed):
    _, steps, changes = quadratic_pairs(seed, 4, 6)
    model = models.damped_bfgs(steps, changes, 1.0)
    dense = model.dense()
    assert np.linalg.eigvalsh(dense)[0] > -1e-9 * np.abs(dense).max()
    s = np.ones(4)
    np.testing.assert_allclose(model @ s, dense @ s, rtol=1e-9, atol=1e-9)


def test_a_linear_function_has_no_curvature():
    steps = np.eye(3)
    model = models.sr1(steps, np.zeros((3, 3)), 5.0)
    np.testing.assert_array_equal(model.dense(), np.zeros((3, 3)))
    scores = learning.rescored(
        np.zeros(1), [model], np.ones(3), np.zeros(3), 1.0, -1.0, accepted=True
    )
    assert scores.tolist() == [np.log(1e-3)]


@pytest.mark.parametrize("accepted", [True, False])
def test_models_are_scored_by_what_they_foresaw_and_what_they_promised(accepted):
    """Against the formulas written out."""
    source = np.random.default_rng(5)
    for unit in (1.0, 8.0):
        scores, (s, y) = source.normal(size=2), source.normal(size=(2, 6))
        both = models.build(source.normal(size=(4, 6)), source.normal(size=(4, 6)), 0.7)
        slope = float(source.normal()) - 1.0
        made = learning.rescored(scores, both, s, unit * y, unit, slope, accepted=accepted)
        for k, model in enumerate(both):
            bent = model.dense() @ s
            missed = np.linalg.norm(y - bent) / np.linalg.norm(y)
            blamed = not accepted and slope + 0.5 * s @ bent < 0.0
            wanted = 0.7 * scores[k] + np.log(np.clip(missed, 1e-3, 1e3)) + 2.0 * blamed
            assert made[k] == pytest.approx(wanted, rel=1e-12)


def test_pairs_are_kept_newest_last():
    rows = np.zeros((0, 2))
    for k in range(5):
        rows = learning.appended(rows, np.array([k, -k], dtype=float), 3)
    assert rows.tolist() == [[2.0, -2.0], [3.0, -3.0], [4.0, -4.0]]


@pytest.mark.parametrize("left", [None, np.array([5.0, 6.0])])
def test_a_trial_teaches_scores_and_a_pair(left):
    scale, known = np.array([2.0, 4.0]), (np.ones((2, 2)), np.zeros((2, 2)))
    pair = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    both = models.build(*known, 1.0)
    for keep in (0, 2, 3):
        scores, steps, changes = learning.learnt(
            np.zeros(2), both, known, pair, left, np.ones(2), scale, 2.0, -1.0, True, keep
        )
        u, v = learning.scaled(*pair, scale)
        wanted = learning.rescored(np.zeros(2), both, u, v, 2.0, -0.5, True)
        assert scores.tolist() == wanted.tolist()
        if keep:
            assert steps[:-1].tolist() == known[0][3 - keep :].tolist()
            assert steps[-1].tolist() == [0.5, 0.5]
            assert changes[-1].tolist() == ([6.0, -4.0] if left is None else [10.0, 24.0])
        else:
            assert steps is known[0] and changes is known[1]


def test_what_lies_between_two_points():
    source = np.random.default_rng(4)
    x, z, g, h = source.normal(size=(4, 5))
    scale = np.exp(source.normal(size=5))
    s, y, slope, mean, sizes, sigma = learning.differences(x, z, g, h, scale)
    assert s.tolist() == (z - x).tolist() and y.tolist() == (h - g).tolist()
    assert slope == pytest.approx(g @ (z - x)) and mean == pytest.approx(0.5 * (g + h) @ (z - x))
    assert sizes == pytest.approx(np.abs(g) @ np.abs(x))
    assert sigma == np.max(np.abs(z - x) / scale)
    assert learning.differences(x, np.full(5, np.nan), g, h, scale)[-1] == np.inf


def test_variables_outgrow_their_scale_both_ways():
    x, scale = np.array([100.0, 0.1, 0.5]), np.array([2.0, 4.0, 1.0])
    assert growth(x, None, 1e-4, scale) == (0.25, 50.0)
    box = np.zeros(3), np.array([200.0, 1.0, 1e-5])
    assert growth(x, box, 1e-4, scale) == (1e-5, 50.0)  # the third box is narrow
    assert growth(x[:0], None, 1e-4, scale[:0]) == (1.0, 1.0)


def test_a_pair_without_a_step_or_with_a_cliff_is_not_kept():
    one, none = np.ones(3), np.zeros(3)
    assert learning.are_usable(one, one, one)
    assert learning.are_usable(one, none, one)
    assert not learning.are_usable(none, one, one)
    assert not learning.are_usable(one, 1e9 * one, one)
    assert not learning.are_usable(one, np.full(3, np.nan), one)


def test_the_lower_score_is_chosen():
    assert models.choose(np.zeros(2)) == 0
    assert models.choose(np.array([1.0, 0.5])) == 1


@pytest.mark.parametrize(
    ("rho", "sigma", "wanted"),
    [(0.99, 1.0, 5.0), (0.8, 1.0, 2.5), (0.5, 1.0, 1.0), (0.2, 1.0, 0.5), (0.99, 0.01, 0.05)],
)
def test_the_rules_of_the_trust_region(rho, sigma, wanted):
    assert trust.radius(1.0, sigma, rho, slope=-1.0, change=-0.5) == pytest.approx(wanted)


def test_a_bad_step_shrinks_to_the_minimum_of_the_parabola():
    assert trust.radius(1.0, 1.0, -1.0, slope=-1.0, change=1.0) == pytest.approx(0.25)
    assert trust.radius(1.0, 1.0, -1e6, slope=-1.0, change=1e6) == pytest.approx(0.03)


def test_near_rounding_the_gradients_judge():
    assert trust.ratio(1e10, 1e10, -1e-3, -1e-3) == pytest.approx(1.0)


def test_the_residual_and_multipliers_at_a_known_solution():
    made = compiled(["x1^2 + x2^2 <= 2"], [(-2, 2)] * 2, [1.0, 1.0])
    measured = criticality(made, np.array([1.0, 1.0]), np.array([-1.0, -1.0]))
    assert measured.residual <= 1e-12
    np.testing.assert_allclose(measured.multipliers, [0.5])
    away = criticality(made, np.array([0.0, 0.0]), np.array([-1.0, 0.0]))
    assert away.residual == pytest.approx(1.0)


def test_opposite_rows_are_one_equality():
    made = compiled(["x1^2 + x2 <= 1", "x1^2 + x2 >= 1"], [(-2, 2)] * 2, [0.5, 0.5])
    assert len(made.inequalities) == 0
    assert len(made.equalities) == 1


def test_pairs_of_another_run_bring_its_curvature():
    """With the pairs of a quadratic the second point solves it, and a wrong shape is refused."""
    matrix, middle = np.diag([1.0, 10.0, 100.0]), np.array([0.3, -0.2, 0.1])

    def run(**options):
        opt = FeasibleMinimizer([0.5, 0.5, 0.5], "x1 + x2 + x3 <= 2", **options)
        while not opt.done:
            slope = matrix @ (opt.ask() - middle)
            opt.tell(0.5 * slope @ (opt.ask() - middle), slope)
        return opt

    first = run()
    warm = run(pairs=(np.eye(3), matrix))
    np.testing.assert_allclose(first.result.x, middle, atol=1e-6)
    np.testing.assert_allclose(warm.result.x, middle, atol=1e-6)
    assert warm.nfev == 2 < first.nfev
    with pytest.raises(InputError, match=r"pairs have the shapes \(2, 1\) and"):
        FeasibleMinimizer([0.5], pairs=([[1.0], [2.0]], [[1.0]]))


def test_points_need_not_be_contiguous():
    columns = np.arange(6.0).reshape(3, 2)
    opt = FeasibleMinimizer(columns[:, 0] / 9.0, "x1^2 + x2^2 + x3 <= 9")
    assert opt.resisting(columns[:, 1]) == opt.resisting(columns[:, 1].copy())
    opt.tell(1.0, columns[:, 1])
    assert opt.ask().shape == (3,)
    for wrong in ([1.0, 2.0], [[1.0], [2.0], [3.0]]):
        with pytest.raises(InputError, match="shape"):
            opt.resisting(wrong)
