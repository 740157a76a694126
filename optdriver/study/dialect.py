"""Names of other dialects: which is the real one, and which are accepted beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from optdriver.errors import InputError, unknown_option
from optdriver.study.hints import hint
from optdriver.study.parameters import ALIASES, TABLE

ARGUMENTS: Final = {"design_space": "domain", "study_name": "name"}
"""Aliases of the arguments of `create_study`, and the real ones."""

METHODS: Final = {"configure": "set_parameters", "set_evaluator": "set_objective"}
"""Aliases of the methods of `Study`, and the real ones."""

KEYWORDS: Final = (
    "domain", "constraints", "environment", "driver", "name", "study_id", "scale", "storage",
    "save_dir", "durability", "journal", "clock",
)  # fmt: skip
"""Arguments of `create_study` that are no driver parameters."""


def one_of(real: str, given: Mapping[str, Any]) -> Any:
    """Return the one value that was given under `real` or its aliases, None if there is none."""
    names = [real, *(alias for alias, name in ARGUMENTS.items() if name == real)]
    found = [name for name in names if given.get(name) is not None]
    if len(found) > 1:
        raise InputError(f"give {found[0]!r} or {found[1]!r}, not both: they mean the same")
    return given[found[0]] if found else None


def check_keywords(given: Mapping[str, Any]) -> None:
    """Refuse what is neither an argument of `create_study` nor a driver parameter."""
    for name in given:
        if name not in TABLE and name not in ALIASES:
            known = (*KEYWORDS, *ARGUMENTS, *TABLE, *ALIASES)
            raise unknown_option("argument of create_study", name, known, hint(name))
