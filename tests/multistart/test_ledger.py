"""What is kept of every id."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optdriver.multistart.ledger import FAILED, OPEN, TOLD, Ledger

numbers = st.floats(allow_nan=True, allow_infinity=True)
gradients = st.none() | st.lists(numbers, min_size=2, max_size=2).map(np.array)


@given(st.sampled_from([TOLD, FAILED]), numbers, gradients, numbers, gradients)
def test_the_same_is_recognised_and_the_different_too(status, f, g, other_f, other_g):
    ledger = Ledger()
    id = ledger.new_id()
    ledger.close(id, status, f, g)
    again = Ledger.from_dict(ledger.to_dict())
    for book in (ledger, again):
        assert book.same(id, status, f, g)
        assert not book.same(id, TOLD + FAILED - status, f, g)
        equal_g = (g is None) == (other_g is None) and (
            g is None or g.tobytes() == other_g.tobytes()
        )
        equal_f = f == other_f or (math.isnan(f) and math.isnan(other_f))
        assert book.same(id, status, other_f, other_g) == (equal_f and equal_g)


def test_ids_count_up_and_are_open():
    ledger = Ledger()
    assert [ledger.new_id() for _ in range(3)] == [0, 1, 2]
    assert list(ledger.status) == [OPEN] * 3
    ledger.close(1, TOLD, 2.0, None)
    assert not ledger.same(0, TOLD, math.nan, None)
    assert Ledger.from_dict(ledger.to_dict()).new_id() == 3
