"""What was pickled before modules were moved is found under the names that it bears."""

from __future__ import annotations

import pickle

import pytest

import optdriver
import optdriver.space
from optdriver.constraints import ParsedConstraint


@pytest.mark.parametrize(
    ("module", "name", "found"),
    [
        ("optdriver.space", "Space", optdriver.Space),
        ("optdriver.structures.nodes", "Interval", optdriver.Interval),
        ("optdriver.structures.pytree", "Interval", optdriver.Interval),
        ("optdriver.objectives.pytree", "Interval", optdriver.Interval),
        ("optdriver.constraints.parser", "ParsedConstraint", ParsedConstraint),
    ],
)
def test_a_class_is_found_where_it_was(module, name, found):
    assert pickle.loads(f"c{module}\n{name}\n.".encode()) is found


def test_what_was_never_there_is_not():
    with pytest.raises(AttributeError, match="no attribute 'Spice'"):
        optdriver.space.Spice  # noqa: B018
