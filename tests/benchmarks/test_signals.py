"""The storm of signals, in short: no study differs, and signals did land.

It rages in a process of its own: here a signal would also land in what other packages do when
garbage is collected, and be lost there.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(signal, "setitimer"):
    pytest.skip("this system has no interval timers", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
START = """
import json, signal, sys
from collections import Counter
from pathlib import Path
from benchmarks import signals

signal.signal(signal.SIGINT, signal.default_int_handler)
signals.EVALUATIONS = 12
landed = Counter()
path = Path(sys.argv[1]) if sys.argv[1:] else None
"""
BY_HAND = START + "print(json.dumps([signals.once('gradients', 3, path, landed), landed]))"
IN_RUN = START + "print(json.dumps([signals.once_run(1, path, landed, 3), landed]))"


def raged(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
def test_signals_change_nothing(kept, tmp_path):
    wrong, landed = raged(BY_HAND, *([tmp_path / "study.db"] if kept else []))
    assert wrong == []
    assert landed["ask"] > 10


def test_a_run_goes_on_after_signals():
    wrong, landed = raged(IN_RUN)
    assert wrong == []
    assert landed["run"] > 0
