"""What is out: the same by itself and as rounds, whatever is looked at in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optdriver.outstanding import Outstanding


class Rows:
    """A round of texts."""

    def __init__(self, rows):
        self.rows = list(rows)

    def one(self, row):
        return f"point {self.rows[row]}"

    def without(self, row):
        return Rows(self.rows[:row] + self.rows[row + 1 :])


def filled(sizes):
    out, known, first = Outstanding(), {}, 0
    for size in sizes:
        ids = list(range(first, first + size))
        out.add(Rows(ids))
        known.update((id, f"point {id}") for id in ids)
        first += size
    return out, known


@given(
    st.lists(st.integers(1, 4), max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["pop", "get", "look", "add", "whole"]), st.integers(0, 20)),
        max_size=12,
    ),
)
def test_it_is_a_dictionary_whatever_is_asked_of_it(sizes, steps):
    out, known = filled(sizes)
    for step, number in steps:
        if step == "pop" and number in known:
            out.pop(number)
            del known[number]
        elif step == "get":
            assert out.get(number) == known.get(number)
        elif step == "look":
            assert list(out.by_id.items()) == list(known.items())
        elif step == "add":
            ids = range(100 * (number + 1), 100 * (number + 1) + 2)
            if not known.keys() & set(ids):
                out.add(Rows(ids))
                known.update((id, f"point {id}") for id in ids)
        elif step == "whole" and (whole := out.whole(list(known))):
            out.drop(whole)
            known.clear()
        assert len(out) == len(known)
    assert out.by_id == known


def test_whole_rounds_are_found_one_after_the_other_and_parts_are_not():
    out, _ = filled([3, 2, 2])
    assert [each.rows for each in out.whole([0, 1, 2, 5, 6])] == [[0, 1, 2], [5, 6]]
    assert out.whole([0, 1]) == out.whole([1, 0, 2]) == out.whole([0, 1, 2, 7]) == ()
    out.drop(out.whole([3, 4]))
    assert out.whole([3, 4]) == ()
    assert list(out.by_id) == [0, 1, 2, 5, 6]
    assert out.whole([0, 1, 2]) == ()  # looked at one by one
