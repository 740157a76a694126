"""Every example runs, stays short, and does what it says."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from examples import embedded_resume, nist, rastrigin_native, scipy_drop_in

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(p.stem for p in ROOT.joinpath("examples").glob("*.py"))
ELSEWHERE = {"on_dask": "distributed", "on_loky": "loky", "on_mpi": "mpi4py", "on_parsl": "parsl"}
ELSEWHERE |= {"on_slurm": "executorlib"}
RUN = [
    name
    for name in EXAMPLES
    if name not in ("nist", "optics") and (name not in ELSEWHERE or find_spec(ELSEWHERE[name]))
]
MPI = ["mpiexec", "--oversubscribe", "-n", "2"]
ROOT_MAY = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}
"""On a busy machine a worker of Dask's may say that its cluster was closed before it was."""

FITS = {"Thurber": 7, "MGH09": 4, "Rat43": 4}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_one_idea(name: str) -> None:
    lines = ROOT.joinpath("examples", f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60


@pytest.mark.parametrize("name", RUN)
def test_an_example_runs(name: str) -> None:
    command = [sys.executable, "-W", "error", "-m", f"examples.{name}"]
    if name == "on_mpi":
        command = [*MPI, *command[:3], "-m", "mpi4py.futures", *command[3:]]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "0"} | ROOT_MAY | QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", FITS)
def test_a_fit_reaches_nine_certified_digits(name: str) -> None:
    assert importlib.import_module(f"examples.nist_{name.lower()}").main() >= 9


@pytest.mark.parametrize("name", FITS)
def test_the_data_give_the_certified_sum_of_squares(name: str) -> None:
    data, fit = nist.load(name), importlib.import_module(f"examples.nist_{name.lower()}")
    certified = dict(data.certified)
    rss = certified.pop("rss")
    assert len(certified) == FITS[name]
    fitted, _ = fit.model(data.x, *certified.values())
    assert np.sum((fitted - data.y) ** 2) == pytest.approx(rss, rel=1e-10)


@pytest.mark.parametrize("name", FITS)
def test_the_jacobian_of_a_model_is_its_derivative(name: str) -> None:
    data, fit = nist.load(name), importlib.import_module(f"examples.nist_{name.lower()}")
    b = np.array([data.certified[name] for name in fit.BOX])
    _, jacobian = fit.model(data.x, *b)
    for i, step in enumerate(np.diag(1e-6 * b)):
        slope = (fit.model(data.x, *(b + step))[0] - fit.model(data.x, *(b - step))[0]) / 2
        scale = np.abs(jacobian[i]).max()
        np.testing.assert_allclose(slope / step[i], jacobian[i], rtol=1e-5, atol=1e-8 * scale)


def test_a_resumed_run_is_the_same_run() -> None:
    through, resumed = embedded_resume.main()
    np.testing.assert_array_equal(through, resumed)


def test_the_drop_in_ends_where_scipy_ends() -> None:
    theirs, ours = scipy_drop_in.main()
    assert ours.success
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-7)
    assert set(ours) >= set(theirs)


def test_the_native_study_finds_the_global_minimum() -> None:
    study = rastrigin_native.main()
    assert study.best.value == pytest.approx(0.0, abs=1e-8)
