"""What all tests share: the same random examples, and the same Ctrl-C, wherever they run."""

import contextlib
import gc
import os
import signal
import sys
from importlib import metadata

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


def pytest_configure():
    """Let XLA compile in a quarter of the time: most of what tests compile is called a few times.

    What users have is asked for by setting both variables, as `.ci/run` does for some of the tests.
    """
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # A flag that another XLA does not know would end every process that imports it.
    with contextlib.suppress(metadata.PackageNotFoundError):
        if metadata.version("jaxlib").startswith("0.10."):
            os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


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
