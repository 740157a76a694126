"""`minimize` as a study: kept, killed, continued, in parallel, limited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import saiunit as u

import optdriver
from optdriver import minimize
from optdriver.errors import InputError, UnknownOptionError

BOUNDS = {"a": (-2.0, 2.0), "b": {"c": (np.full(2, -2.0), 2.0)}}


def valley(a, b):
    return (1 - a) ** 2 + 10 * jnp.sum((b["c"] - a**2) ** 2)


PROGRAM = """
import os, sys
import numpy as np
import optdriver

calls = 0


def loss(a, b):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    return float((1 - a) ** 2 + 10 * np.sum((b["c"] - a**2) ** 2))


bounds = {"a": (-2.0, 2.0), "b": {"c": (np.full(2, -2.0), 2.0)}}
optdriver.minimize(
    loss, bounds, n_iter=2, jac="2-point", max_iter=60, storage=sys.argv[1], progress=False
)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_killed_and_called_again_it_goes_on_bit_for_bit(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")

    def called(path: Path, at: int) -> int:
        command = [sys.executable, str(program), str(path), str(at)]
        return subprocess.run(command, check=False, env=os.environ).returncode

    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    assert called(killed, 23) == -signal.SIGKILL
    with optdriver.load_study(killed) as study:
        assert study.num_evaluations == 22
    assert called(killed, 0) == called(whole, 0) == 0
    with optdriver.load_study(killed) as study, optdriver.load_study(whole) as other:
        assert study.num_evaluations == other.num_evaluations == 60
        for name in ("x", "gradient"):
            first, second = getattr(study.history, name), getattr(other.history, name)
            assert first is second or first.tobytes() == second.tobytes()
        assert study.history["value"].tobytes() == other.history["value"].tobytes()


def test_a_finished_file_gives_its_result_without_evaluating(tmp_path):
    path = tmp_path / "study.db"
    first = minimize(valley, BOUNDS, n_iter=2, x64=True, storage=path, max_iter=5)
    assert (first.success, first.nfev, first.status) == (False, 5, 1)
    whole = minimize(valley, BOUNDS, n_iter=2, x64=True, storage=path, max_iter=500)
    again = minimize(valley, BOUNDS, n_iter=2, x64=True, storage=path, max_iter=500)
    assert whole.success
    assert whole.message == "2 minimizers have converged"
    np.testing.assert_allclose(whole.x["b"]["c"], 1.0, atol=1e-4)
    assert again.nfev == whole.nfev == len(again.history["value"]) == again.study.num_evaluations
    assert again.fun == whole.fun == whole.starts[whole.start].value
    assert list(whole.jac) == ["a", "b"]
    assert "2 minimizers have converged" in repr(whole)
    with pytest.raises(InputError, match="is another one"):
        minimize(valley, {**BOUNDS, "a": (-1, 2)}, n_iter=2, x64=True, storage=path)


def test_a_loss_without_jax_is_not_called_for_a_finished_file(tmp_path):
    calls = []

    def loss(x, y):
        value = float(np.cosh(x - 1) + y**2)
        calls.append(value)  # tracing has failed before
        return value

    arguments = {"n_iter": 1, "storage": tmp_path / "study.db", "max_iter": 100}
    found = minimize(loss, [(-3, 3), (-3, 3)], **arguments)
    assert found.success
    assert found.nfev == len(calls)
    assert minimize(loss, [(-3, 3), (-3, 3)], **arguments).x == found.x
    assert found.nfev == len(calls)


def test_limits_constraints_parallel_places_and_units():
    found = minimize(
        lambda a, b: (a - 1.0) ** 2 + jnp.sum((b - 1.0) ** 2),
        [(0, 1), (np.zeros(2), 1.0)],
        n_iter=3,
        x64=True,
        constraints=["a + b[0] <= 1"],
        executor=ThreadPoolExecutor(2),
    )
    assert found.success
    assert found.active == ("a + b_0 <= 1",)
    np.testing.assert_allclose(found.x[1], [0.5, 1.0], atol=1e-6)
    assert found.maxcv == 0.0
    assert found.study.parameters["num_parallel"] == 2
    found = minimize(
        lambda v: (v + 60 * u.mV) ** 2, {"v": (-80 * u.mV, -40 * u.mV)}, x64=True, max_time=60
    )
    assert found.success
    assert found.x["v"].unit == u.mV
    assert float(found.fun / u.mV**2) == pytest.approx(0.0, abs=1e-9)
    assert found.jac["v"].unit == u.mV


def test_plain_numbers_go_to_a_loss_without_units():
    found = minimize(
        lambda v: float((v + 60) ** 2), {"v": (-80 * u.mV, -40 * u.mV)}, n_iter=1, jac="3-point",
        units=False, max_iter=60,
    )  # fmt: skip
    assert float(found.x["v"]) == pytest.approx(-60, abs=1e-3)


def test_a_minimizer_makes_studies_too():
    made = optdriver.Minimizer(valley, BOUNDS, x64=True)
    assert made.minimize(2, max_iter=3).nfev == 3
    assert made.minimize(2).engine == "batch"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"constraints": lambda a, b: a + b["c"][0]},
            InputError,
            "write it as a text.*leave out max_iter=",
        ),
        ({"callback": print}, InputError, "res.history"),
        ({"engine": "batch"}, InputError, "engine='batch'"),
        ({"options": {"gtoll": 1}}, UnknownOptionError, "did you mean 'gtol'"),
        ({"num_parallel": 0}, InputError, "num_parallel"),
    ],
)
def test_what_a_study_cannot_do_is_said(arguments, error, words):
    with pytest.raises(error, match=words):
        minimize(valley, BOUNDS, x64=True, max_iter=3, **arguments)
