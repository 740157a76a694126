"""Names, numbers and words of phases and endings."""

from __future__ import annotations

from optdriver.lbfgsb import Phase, Stop
from tests.lbfgsb.kernels import imported


def test_success_is_convergence():
    assert [stop for stop in Stop if stop.success] == [Stop.PROJECTED_GRADIENT, Stop.REDUCTION]
    assert all((stop.status == 0) == stop.success for stop in Stop)


def test_every_ending_has_words_of_its_own():
    assert len({stop.message for stop in Stop}) == len(Stop)
    assert all(stop.message.startswith("CONVERGENCE") == stop.success for stop in Stop)


def test_the_kernel_uses_the_same_numbers():
    for enum in (Phase, Stop):
        for member in enum:
            assert getattr(imported.codes, member.name) == int(member)
