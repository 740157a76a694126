"""A study whose process is killed at random moments asks the points of one that never was."""

from __future__ import annotations

import pytest

from benchmarks.chaos import SETTINGS, Hunt


@pytest.mark.parametrize("setting", SETTINGS)
def test_twenty_kills_change_nothing(tmp_path, setting):
    kills, seed = 0, 100
    while kills < 20:
        hunt = Hunt(tmp_path / f"{seed}.db", setting, seed)
        hunt.run(most=25)
        assert hunt.differences() == []
        assert len(hunt.asked) > 100
        kills, seed = kills + hunt.kills, seed + 1
    assert not list(tmp_path.glob("*-wal"))
    assert not list(tmp_path.glob("*-lock"))
