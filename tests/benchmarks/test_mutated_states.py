"""The short run of the benchmark that restores states which somebody has tampered with."""

from __future__ import annotations

import pytest

from benchmarks import mutated_states
from optdriver import LBFGSB, MultiStart
from optdriver.errors import InputError


def test_a_tampered_state_is_refused_or_driven():
    seen, faults = mutated_states.run(150, seed=7)
    assert not [fault for fault in faults if "MiB" not in fault]
    assert {outcome for _, outcome in seen} >= {"driven", "refused"}


@pytest.mark.parametrize("name", ["stp", "stpmax"])
def test_a_step_that_is_infinite_is_refused(name):
    minimizer = LBFGSB([0.5, 0.25], [(-1, 2), (0, 3)])
    minimizer.tell(1.0, [0.3, -0.7])
    data = minimizer.to_dict()
    data["state"][name] = float("inf")
    with pytest.raises(InputError, match=f"{name}.* not finite"):
        LBFGSB.from_dict(data)


def test_numbers_of_pairs_that_the_arrays_do_not_have_take_no_memory():
    data = LBFGSB([0.5, 0.25]).to_dict()
    data["state"]["m"] = 10**6
    with pytest.raises(InputError, match="not those of 2 variables and 1000000 pairs"):
        LBFGSB.from_dict(data)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("ready", [[5, -1]], "not under way"),
        ("live", 7, "counts 7"),
        ("lower", [-1.0, 4.0], "above the upper"),
        ("next_start", 3.5, "float"),
        ("nfev", -2, "between 0"),
        ("options", {"minimizer": [1.0]}, "'minimizer' is list"),
        ("options", {"minimizer": {"noise": 0.0}}, "expected"),
    ],
)
def test_a_multi_start_whose_parts_contradict_each_other_is_refused(where, value, said):
    ms = MultiStart([(-1, 2), (0, 3)], num_initial=2)
    ms.tell(ms.ask(1)[0].id, 1.0, [0.3, -0.7])
    data = ms.to_dict()
    data[where] = {**data[where], **value} if isinstance(value, dict) else value
    with pytest.raises(InputError, match=said):
        MultiStart.from_dict(data)
