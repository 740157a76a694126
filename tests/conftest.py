"""What all tests share: the same random examples, and the same Ctrl-C, wherever they run."""

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

pytest_plugins = ["tests.tiers"]

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")

# A shell without job control starts its background jobs with Ctrl-C ignored, and children inherit
# that; the tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Where no bytecode is kept, every worker rewrites all asserts again, and every process that a test
# starts compiles the package.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config):
    """Let XLA compile in two thirds of the time for the quick tests, and as ever for the long ones.

    Most of what they compile is called a few times.
    """
    if config.option.markexpr == "not slow":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage while ten thousand tests are collected, all of which stay.

    That is a quarter of the time that the collection takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _turn_of_nobody():
    """Let no test find the coroutines' lock held.

    Tests that raise at every line also raise where the lock is about to be given back; no signal
    comes there.
    """
    yield
    loaded = sys.modules.get("optdriver.coroutine.coroutine")
    if loaded is not None:
        loaded._TURN = type(loaded._TURN)()
