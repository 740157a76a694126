"""Numbers that a minimizer cannot go on with end its run, and nothing else; nor does np.seterr."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from optdriver import create_study, load_study
from optdriver.errors import ConstraintWarning, InternalWarning
from optdriver.multistart import local

BOX = {"x": (-2.0, 2.0), "y": (-1.0, 3.0)}

NUMERIC = [
    FloatingPointError("overflow encountered in multiply"),
    ZeroDivisionError("float division by zero"),
    OverflowError("math range error"),
    np.linalg.LinAlgError("Singular matrix"),
    ValueError("array must not contain infs or NaNs"),
    RuntimeError("Factor is exactly singular"),
]


def bowl(x, y):
    return (x - 0.3) ** 2 + 2 * (y - 1.1) ** 2 + 0.1 * np.cos(5 * x), np.array(
        [2 * (x - 0.3) - 0.5 * np.sin(5 * x), 4 * (y - 1.1)]
    )


def drive(study, number):
    """Evaluate so many points; return their coordinates."""
    points = []
    while len(points) < number and (suggestion := study.ask()) is not None:
        points.append(suggestion.x.tobytes())
        study.tell(suggestion.id, *bowl(**suggestion.params))
    return points


@pytest.fixture
def raising(monkeypatch):
    """Let the minimizers raise where the value lies in a certain range."""

    def install(error):
        real = local.tell

        def tell(minimizer, f, g, fit):
            if 0.18 < f < 0.22:
                raise error
            real(minimizer, f, g, fit)

        monkeypatch.setattr(local, "tell", tell)

    return install


@pytest.mark.parametrize("error", NUMERIC, ids=lambda error: type(error).__name__)
def test_a_numeric_error_ends_the_run_and_is_replayed(error, raising, tmp_path):
    raising(error)
    path = tmp_path / "study.db"
    with create_study(BOX, jac=True, storage=path, seed=3, max_num_minimizers=3) as study:
        drive(study, 40)
        ended = [run for run in study.runs if str(error) in run.reason]
        assert ended, "no value of this objective came into the range"
        assert all(run.state == "failed" and "numeric error" in run.reason for run in ended)
        assert any(run.state == "converged" for run in study.runs)
    with load_study(path) as again:
        assert again.verify().points == again.num_evaluations
        assert [run.reason for run in again.runs] == [run.reason for run in study.runs]


def test_a_study_whose_runs_all_break_off_comes_to_an_end(monkeypatch):
    def tell(_minimizer, _f, _g, _fit):
        raise OverflowError("too large")

    monkeypatch.setattr(local, "tell", tell)
    study = create_study(BOX, jac=True, max_num_minimizers=2)
    assert len(drive(study, 1000)) == 20
    assert study.is_done()
    assert "too large" in study.stop_reason


def test_a_fault_of_ours_is_said_aloud_and_leaves_the_file_whole(raising, tmp_path):
    raising(IndexError("list index out of range"))
    path = tmp_path / "study.db"
    with (
        create_study(BOX, jac=True, storage=path, seed=3, max_num_minimizers=3) as study,
        pytest.warns(InternalWarning, match="list index out of range; please report it"),
    ):
        drive(study, 40)
    with pytest.warns(InternalWarning), load_study(path) as again:
        again.verify()
        assert any("internal error of optdriver: IndexError" in r.reason for r in again.runs)
        assert any(run.state == "converged" for run in again.runs)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyboardInterrupt()])
def test_what_would_not_happen_again_on_replay_is_let_through(error, raising):
    raising(error)
    study = create_study(BOX, jac=True, seed=3)
    with pytest.raises(type(error)):
        drive(study, 40)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
@pytest.mark.parametrize("rows", [[], ["x*y + 1e200*x^3 <= 1e200"]])
def test_the_error_state_of_the_caller_changes_nothing(size, rows):
    def told(study):
        seen = []
        while len(seen) < 25 and (suggestion := study.ask()) is not None:
            x, y = suggestion.x
            seen.append(suggestion.x.tobytes())
            with np.errstate(all="ignore"):
                f = size * (x * x + abs(y)) + 0.01 * size * x
                study.tell(suggestion.id, f, [size * (2 * x + 0.01), size * np.sign(y)])
        return seen, study.info()["min_objective"], study.runs

    def made():
        study = create_study(BOX, constraints=rows, jac=True, seed=1, max_num_minimizers=3)
        return told(study)[:2]

    usual = made()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = np.seterr(all="raise")
        try:
            assert made() == usual
            assert set(np.geterr().values()) == {"raise"}
        finally:
            np.seterr(**before)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_formula_that_overflows_its_derivatives_does_not_lose_the_file(seed, tmp_path):
    box = {"u": (-1.5, 1.5), "v": (0.2, 2.0)}
    text = "(v^u*u - 1e-320)^(tan(u)^800) > u - 1"
    path = tmp_path / "study.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstraintWarning)
        study = create_study(box, constraints=[text], jac=True, seed=seed, storage=path)
    with study:
        for _ in range(12):
            if (suggestion := study.ask()) is None:
                break
            d = suggestion.x - [0.4, 1.7]
            study.tell(suggestion.id, float(d @ d), 2 * d)
    with load_study(path) as again:
        assert again.verify().points == again.num_evaluations
