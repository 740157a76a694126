"""What it costs to begin: processor time of whole processes, beside that of ``import numpy``.

``python -m benchmarks startup`` runs each row several times in turn, and keeps the least.  Shown is
the file of a study of 1,300 evaluations, closed by its writer, or left by one that was killed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import optdriver
from benchmarks.report import Section, Table, Target

EVALUATIONS = 1300
REPEATS = 7
COMMAND = "import sys; from optdriver.cli import main; sys.argv[0] = 'optdriver'; main()"


def camel(x: float, y: float) -> float:
    """Return the six-hump camel function, whose minima are six."""
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def record(path: Path, *, close: bool) -> None:
    """Record the study in a process of its own, which ends with or without closing it."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    study = optdriver.create_study({"x": (-3, 3), "y": (-2, 2)}, storage=path, max_iter=EVALUATIONS)
    study.set_objective(camel)
    study.run(progress=False)
    if close:
        study.close()
    os._exit(0)  # as a kill leaves it


def seconds(words: Sequence[str]) -> float:
    """Return the processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=kept)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def rows(directory: Path) -> dict[str, list[str]]:
    """Return what is run."""
    for name in ("closed", "killed"):
        record(directory / f"{name}.db", close=name == "closed")
    python = [sys.executable, "-c"]
    show = [*python, COMMAND, "show"]
    return {
        "nothing": [*python, "pass"],
        "import numpy": [*python, "import numpy"],
        "import scipy.optimize": [*python, "import scipy.optimize"],
        "optdriver.LBFGSB": [*python, "import optdriver; optdriver.LBFGSB"],
        "optdriver.create_study": [*python, "import optdriver; optdriver.create_study"],
        "optdriver.minimize": [*python, "import optdriver; optdriver.minimize"],
        "optdriver show, closed": [*show, str(directory / "closed.db")],
        "optdriver show, killed": [*show, str(directory / "killed.db")],
    }


def run(arguments: Sequence[str] = ()) -> Section:
    """Measure and return the section of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each row")
    repeats = parser.parse_args(arguments).repeats
    with tempfile.TemporaryDirectory() as directory:
        known = rows(Path(directory))
        least = dict.fromkeys(known, np.inf)
        for _ in range(repeats + 1):  # the first run compiles
            for name, words in known.items():
                least[name] = min(least[name], seconds(words))
    numpy = least["import numpy"]
    shown = max(least[name] for name in known if "show" in name)
    return Section(
        name="startup",
        title="Beginning",
        text=f"Processor time of whole processes, the least of {repeats} runs in turn. Shown is "
        f"the file of a study of {EVALUATIONS} evaluations, closed by its writer or left by one "
        "that was killed.",
        targets=(
            Target(claim="`optdriver show` less `import numpy`, s", value=shown - numpy, limit=0.5),
            Target(
                claim="`optdriver.LBFGSB` / `import numpy`",
                value=least["optdriver.LBFGSB"] / numpy,
                limit=2.0,
            ),
        ),
        tables=(
            Table(
                header=("process", "seconds", "times `import numpy`"),
                rows=[(name, f"{s:.2f}", f"{s / numpy:.1f}") for name, s in least.items()],
            ),
        ),
    )
