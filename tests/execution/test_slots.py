"""Many evaluations at a time, of very different lengths, on a simulated clock."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from optdriver.studies import create_study
from tests.study.tools import BOX, Clock, answer

SLOTS = 64


class Places:
    """Evaluates what is asked on `SLOTS` simulated places; durations have a heavy tail."""

    def __init__(self, straggler=None, **parameters):
        self.clock, self.out = Clock(), []
        self.study = create_study(BOX, clock=self.clock, num_parallel=SLOTS, **parameters)
        self.chance = np.random.default_rng(5)
        self.straggler, self.busy, self.idle = straggler, 0.0, 0.0

    def fill(self):
        for suggestion in self.study.ask(SLOTS):
            duration = self.chance.pareto(1.5) + 0.1
            if suggestion.id == self.straggler:
                duration = 100 * (2 ** (1 / 1.5) - 0.9)  # of the median
            heapq.heappush(self.out, (self.clock.time + duration, suggestion.id, suggestion))

    def step(self):
        """Let the next evaluation end; return its suggestion."""
        end, _, suggestion = heapq.heappop(self.out)
        passed = end - self.clock.time
        self.busy += passed * (len(self.out) + 1)
        self.idle += passed * (SLOTS - len(self.out) - 1)
        self.clock.time = end
        answer(self.study, suggestion)
        return suggestion

    def run(self, evaluations):
        for _ in range(evaluations):
            self.fill()
            if not self.out:
                break
            self.step()


@pytest.mark.parametrize("jac", [True, False])
def test_the_places_are_busy_as_long_as_there_is_work(jac):
    places = Places(jac=jac, num_initial=8)
    places.run(1000)
    assert places.busy / (places.busy + places.idle) > 0.95


def test_a_straggler_delays_its_own_run_only():
    quick = Places(jac=True, num_initial=SLOTS)
    quick.run(2000)
    slow = Places(straggler=10, jac=True, num_initial=SLOTS)
    slow.fill()
    while slow.step().id != 10:
        slow.fill()
    assert len(slow.study.history["id"]) > 20 * SLOTS  # the others went on meanwhile
    assert slow.busy / (slow.busy + slow.idle) > 0.95
    one, other = points(quick.study), points(slow.study)
    assert len(other[10]) == 1
    for number in range(SLOTS):
        shared = min(len(one[number]), len(other[number]))
        assert one[number][:shared] == other[number][:shared]


def points(study):
    history = study.history
    iterates = history["kind"] == "iterate"  # which ends are compared is decided by who is first
    return {
        run: history.x[iterates & (history["run"] == run)].tolist() for run in set(history["run"])
    }
