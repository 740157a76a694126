"""A study in a file: a process is killed in the middle, another one goes on.

Run it with ``python -m examples.kept_study``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import optdriver

KILLED_AT = 20


def valley(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of Rosenbrock's function."""
    f = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return f, [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]


def work(path: Path, *, dies: bool) -> optdriver.Study:
    """Create the study, or open it where it is, and go on until it is done or this dies."""
    study = optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)}, jac=True, max_num_minimizers=2, storage=path
    )

    def objective(x: float, y: float) -> tuple[float, list[float]]:
        if dies and study.num_evaluations == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        return valley(x, y)

    study.run(objective)
    return study


def main() -> optdriver.Study:
    """Let a process die, and finish its work."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "valley.db"
        victim = subprocess.run([sys.executable, "-m", "examples.kept_study", path], check=False)
        print(f"the first process was ended by {signal.Signals(-victim.returncode).name}")
        with optdriver.load_study(path, read_only=True) as study:
            print(f"{study.num_evaluations} evaluations are kept")
        with work(path, dies=False) as study:
            print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
            print(f"{study.verify().points} points, replayed bit for bit")
    return study


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(Path(sys.argv[1]), dies=True)
    else:
        main()
