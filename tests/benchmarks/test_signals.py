"""The storm of signals, in short: no study differs, and signals did land."""

import signal
from collections import Counter

import pytest

from benchmarks import signals

if not hasattr(signal, "setitimer"):
    pytest.skip("this system has no interval timers", allow_module_level=True)


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "kept"])
def test_signals_change_nothing(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "EVALUATIONS", 12)
    landed = Counter()
    assert signals.once("gradients", 3, tmp_path / "study.db" if kept else None, landed) == []
    assert landed["ask"] > 10


def test_a_run_goes_on_after_signals():
    landed = Counter()
    assert signals.once_run(1, None, landed, 3) == []
    assert landed["run"] > 0
