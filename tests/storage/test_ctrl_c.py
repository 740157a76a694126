"""Ctrl-C in a process that runs a kept study: once, and twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import optdriver

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, sys, threading
import optdriver
never = threading.Event()

def objective(x, y):
    os.write(1, b"call\\n")
    if study.num_evaluations >= {blocks}:
        never.wait()
    return (x - 1) ** 4 + y**2, [4 * (x - 1) ** 3, 2 * y]

with optdriver.create_study(
    {{"x": (-3, 3), "y": (-3, 3)}}, storage=sys.argv[1], jac=True,
    num_parallel=3, num_initial=3, max_num_minimizers=1000,
) as study:
    study.run(objective)
print("reason:", study.stop_reason)
"""


@contextmanager
def begun(path, blocks):
    """Start a process, and wait until it has evaluated a little."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(blocks=blocks), path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            for _ in range(9):
                assert process.stdout.readline() == "call\n"
            yield process
        finally:
            process.kill()


def test_once_finishes_what_is_open_and_closes_the_file(tmp_path):
    path = tmp_path / "study.db"
    with begun(path, 10**6) as process:
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()  # communicate() would lose what readline() has read ahead
        process.wait()
    assert process.returncode == 0
    assert "reason: interrupted by Ctrl-C" in said
    assert [file.name for file in tmp_path.iterdir()] == ["study.db"]
    with optdriver.load_study(path) as study:
        assert study.open_suggestions == ()
        assert study.num_evaluations == said.count("call") + 9
        assert study.verify().points == study.num_evaluations


def test_twice_leaves_at_once_and_loses_nothing_that_was_told(tmp_path):
    path = tmp_path / "study.db"
    with begun(path, 6) as process:
        process.send_signal(signal.SIGINT)
        while "open evaluations are finished first" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        process.wait()
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    with optdriver.load_study(path) as study:
        assert 6 <= (study.history["state"] == "told").sum() <= 8  # three see it at a time
        before = study.num_evaluations  # with those that were begun
        study.verify()
        study.run(lambda x, y: (x**2 + y**2, [2 * x, 2 * y]), max_evaluations=20)
        assert study.num_evaluations == before + 20
