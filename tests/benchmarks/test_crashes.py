"""The regions that crash are as large as they say, and do not hold the minimum."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import crashes


@pytest.mark.parametrize("share", crashes.SHARES)
@pytest.mark.parametrize("shape", crashes.SHAPES)
def test_regions_have_their_share(shape, share):
    points = np.random.default_rng(0).uniform(-2, 2, (4000, 6))
    for seed in range(3):
        fails = crashes.region(shape, share, seed)
        assert not fails(crashes.AT)
        assert np.mean([fails(x) for x in points]) == pytest.approx(share, rel=0.1, abs=0.01)


@pytest.mark.slow
def test_a_short_run_meets_its_targets():
    section = crashes.run(["1"])
    assert all(target.value == 0 for target in section.targets)
    assert len(section.tables[0].rows) >= 27
