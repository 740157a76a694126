"""Methods that other packages add: by `add`, or by an entry point of their distribution.

An entry point of the group `GROUP` bears the name of the method, and is only loaded when a method
of that name is wanted that is not known otherwise.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from optdriver.errors import InputError, plain_name

GROUP = "optdriver.methods"


class Plugin(Protocol):
    """What can be added: anything that has a name; what else it has, those know who use it."""

    @property
    def name(self) -> str:
        """Its one real name."""


_added: dict[str, Plugin] = {}


def add(plugin: Plugin) -> None:
    """Add a method under its name, in the place of one that was added under it before."""
    _added[plain_name(plugin.name)] = plugin


def find(name: str) -> Plugin | None:
    """Return what was added under a name, or is installed under it; None if nothing is.

    Raises
    ------
    InputError
        The installed one cannot be loaded, or bears another name.
    """
    found = _added.get(plain_name(name))
    if found is not None or plain_name(name) not in _installed():
        return found
    entry = _installed()[plain_name(name)]
    try:
        found = entry.load()
    except Exception as error:  # whatever another package raises
        raise InputError(f"the method {entry.name!r}, {entry.value}, cannot be loaded") from error
    if plain_name(str(getattr(found, "name", ""))) != plain_name(name):
        raise InputError(
            f"the entry point {entry.name!r} of the group {GROUP!r} is {found!r}: expected a "
            "method with that name"
        )
    plugin: Plugin = found
    add(plugin)
    return plugin


def names() -> tuple[str, ...]:
    """Return the names of all, without loading any."""
    installed = {plain: entry.name for plain, entry in _installed().items()}
    return tuple((installed | {plain: added.name for plain, added in _added.items()}).values())


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    return {plain_name(entry.name): entry for entry in entry_points(group=GROUP)}
