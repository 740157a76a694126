"""The thin-film example: its optics, its limits, and its design beside SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from examples import optics, thin_film
from examples.thin_film_picture import draw as draw_spectra
from optdriver import Study

NAMES = list(thin_film.BOX)


@pytest.fixture(scope="module")
def study() -> Study:
    return thin_film.main()


def merit(x: np.ndarray) -> tuple[float, np.ndarray]:
    return thin_film.merit(**dict(zip(NAMES, map(float, x), strict=True)))


def slacks(x: np.ndarray) -> np.ndarray:
    """Return the two limits as shares of themselves, written without the package."""
    return np.array([1 - x[1:].sum() / 900, 1 - x[0] ** 4 * x[1::2].sum() / 8000])


def test_bare_glass_and_a_quarter_wave_have_their_textbook_values():
    at = np.array([500.0])
    bare, *_ = optics.transmittance(at, np.array([0.0]), np.array([1.38]))
    assert bare[0] == pytest.approx(1 - (0.52 / 2.52) ** 2, rel=1e-14)
    coated, *_ = optics.transmittance(at, np.array([500 / 4 / 1.38]), np.array([1.38]))
    reflected = ((1.38**2 - 1.52) / (1.38**2 + 1.52)) ** 2
    assert coated[0] == pytest.approx(1 - reflected, rel=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_derivative(seed):
    rng = np.random.default_rng(seed)
    lower, upper = np.array(list(thin_film.BOX.values())).T
    x = rng.uniform(lower, upper)
    _, gradient = merit(x)
    steps = np.diag(1e-6 * np.maximum(1, x))
    slopes = [(merit(x + h)[0] - merit(x - h)[0]) / (2 * h.sum()) for h in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-9)


def test_no_evaluated_design_violates_a_limit(study):
    lower, upper = np.array(list(thin_film.BOX.values())).T
    x = study.history.x[:, : len(NAMES)]
    assert len(x) == study.num_evaluations
    assert np.all((lower <= x) & (x <= upper))
    assert min(slacks(row).min() for row in x) >= -1e-14  # summed in another order


def test_both_limits_are_active_and_a_film_is_as_thin_as_allowed(study):
    info = study.info()
    assert info["success"]
    assert info["active_constraints"] == ("total", "absorption")
    assert all(multiplier > 0 for multiplier in info["multipliers"].values())
    assert info["kkt_residual"] <= 1e-8
    thinnest = min(info["min_params"][name] for name in thin_film.FILMS)
    assert thinnest >= 20.0
    assert thinnest == pytest.approx(20.0, abs=1e-9)


def test_the_design_is_not_worse_than_that_of_slsqp(study):
    def slsqp(x0):
        limits = {"type": "ineq", "fun": slacks}
        options = {"ftol": 1e-14, "maxiter": 500}
        return minimize(
            merit, x0, jac=True, method="SLSQP", bounds=list(thin_film.BOX.values()),
            constraints=limits, options=options,
        )  # fmt: skip

    starts = [np.array([run.start[name] for name in NAMES]) for run in study.runs]
    ended = [*map(slsqp, starts), slsqp(np.array([study.best.params[name] for name in NAMES]))]
    allowed = [end.fun for end in ended if slacks(end.x).min() > -1e-9]
    assert allowed
    assert study.best.value <= min(allowed) * (1 + 1e-6)


def test_the_picture_is_drawn(study, tmp_path):
    draw_spectra(study, tmp_path / "thin_film.png")
    assert (tmp_path / "thin_film.png").read_bytes().startswith(b"\x89PNG")
