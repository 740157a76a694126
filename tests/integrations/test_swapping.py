"""A function of another package is exchanged wherever it is held, and comes back whatever happens.

The other package is made here, with the ways of holding a function that BoTorch and Optuna have.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from optdriver.errors import MissingExtraError, OptDriverError
from optdriver.integrations.swapping import Exchange


def theirs(func: Any, x0: Any, m: int = 10) -> str:
    return "theirs"


def ours(func: Any, x0: Any, m: int = 10, more: float = 0.0) -> str:
    return "ours"


def module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    return made


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package: `home` defines the function, `user` imported it, `lazy` holds a copy of home."""
    home = module("library.home", function=theirs, other=len)
    user = module("library.user", function=theirs, renamed=theirs)
    copy = module("library.home", function=theirs)
    lazy = module("library.lazy", stand_in=copy, threading=threading)
    package = module("library", home=home, user=user, lazy=lazy)
    for each in (package, home, user, lazy):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    return package


def exchange(**changed: Any) -> Exchange:
    usual = {
        "package": "library",
        "home": "library.home",
        "name": "function",
        "user": ("library.lazy", "stand_in.function"),
        "ours": ours,
    }
    return Exchange(**(usual | changed))


def held(library: ModuleType) -> set[str]:
    user, copy = library.user, library.lazy.stand_in
    functions = (library.home.function, user.function, user.renamed, copy.function)
    return {f(None, None) for f in functions}


def test_every_holder_has_ours_inside_and_theirs_afterwards(library: ModuleType) -> None:
    with exchange().installed():
        assert held(library) == {"ours"}
        assert library.home.other is len
        assert threading.Lock is not ours
    assert held(library) == {"theirs"}


def test_theirs_comes_back_when_the_block_fails(library: ModuleType) -> None:
    with pytest.raises(KeyboardInterrupt), exchange().installed():
        raise KeyboardInterrupt
    assert held(library) == {"theirs"}


def test_nested_blocks_end_with_the_outer_one(library: ModuleType) -> None:
    swap = exchange()
    with swap.installed():
        with swap.installed():
            assert held(library) == {"ours"}
        assert held(library) == {"ours"}
    assert held(library) == {"theirs"}


def test_blocks_in_two_threads_end_with_the_later_one(library: ModuleType) -> None:
    swap = exchange()
    inside, leave = threading.Event(), threading.Event()

    def block() -> None:
        with swap.installed():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=block)
    with swap.installed():
        thread.start()
        inside.wait()
    assert held(library) == {"ours"}
    leave.set()
    thread.join()
    assert held(library) == {"theirs"}


def test_a_module_that_is_loaded_inside_does_not_keep_ours(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with exchange().installed():
        late = module("library.late", function=library.home.function)
        monkeypatch.setitem(sys.modules, late.__name__, late)
        assert late.function is ours
    assert late.function is theirs


def test_other_packages_keep_what_they_hold(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = module("libraryish.user", function=theirs)
    monkeypatch.setitem(sys.modules, stranger.__name__, stranger)
    with exchange().installed():
        assert stranger.function is theirs


def test_a_package_that_is_not_there_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = exchange(package="no_such_package", home="no_such_package.home")
    with (
        pytest.raises(MissingExtraError, match=r"optdriver\[no_such_package\]"),
        absent.installed(),
    ):
        pass


def test_a_version_without_the_function_is_refused(library: ModuleType) -> None:
    for wrong in ({"home": "library.elsewhere"}, {"name": "vanished"}):
        with pytest.raises(OptDriverError, match="version"), exchange(**wrong).installed():
            pass
    assert held(library) == {"theirs"}


def test_a_version_with_other_arguments_is_refused(library: ModuleType) -> None:
    def newer(func: Any, x0: Any, m: int = 10, penalty: float = 0.0) -> str:
        return "newer"

    library.home.function = newer
    with pytest.raises(OptDriverError, match="penalty"), exchange().installed():
        pass
    assert library.home.function is newer


def test_a_version_that_does_not_call_the_function_is_refused(library: ModuleType) -> None:
    del library.lazy.stand_in
    with pytest.raises(OptDriverError, match="would change nothing"), exchange().installed():
        pass
    assert library.home.function is theirs
