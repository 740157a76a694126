"""A pytest plugin that makes SciPy's own tests run on our L-BFGS-B.

It replaces SciPy's private entry to L-BFGS-B by `scipy_method`, lets the minimizer be pickled and
restored after every ask and every tell, keeps of the collected items those that are listed beside
it, and writes what became of each to the file named by OPTDRIVER_SCIPY_REPORT::

    OPTDRIVER_SCIPY_REPORT=report.json PYTHONPATH=.:tests/integrations \\
        python -m pytest -p scipy_plugin --pyargs scipy.optimize.tests.test_optimize
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize._lbfgsb_py as lbfgsb_py
import scipy.optimize._minimize as minimize
from scipy._lib.deprecation import _NoValue
from scipy.optimize._optimize import _call_callback_maybe_halt

from optdriver.integrations import scipy_method
from optdriver.lbfgsb import LBFGSB

LISTED = frozenset(
    line
    for line in Path(__file__).with_name("scipy_items.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)

records: dict[str, dict[str, Any]] = {}
current: dict[str, Any] = {}


class Restored:
    """An LBFGSB that is pickled and restored after every ask and every tell."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._opt = LBFGSB(*args, **options)
        self._restore()

    def _restore(self) -> None:
        self._opt = pickle.loads(pickle.dumps(self._opt))
        current["restored"] += 1

    def ask(self) -> Any:
        x = self._opt.ask()
        self._restore()
        return x

    def tell(self, f: Any, g: Any) -> None:
        self._opt.tell(f, g)
        self._restore()

    def tell_failure(self, reason: str) -> None:
        self._opt.tell_failure(reason)
        self._restore()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opt, name)


def replacement(
    fun: Any,
    x0: Any,
    args: Any = (),
    jac: Any = None,
    bounds: Any = None,
    callback: Any = None,
    **options: Any,
) -> Any:
    """Stand in for ``scipy.optimize._lbfgsb_py._minimize_lbfgsb``, whose callback is wrapped."""
    current["calls"] += 1

    def ours(*, intermediate_result: Any) -> None:
        if _call_callback_maybe_halt(callback, intermediate_result):
            raise StopIteration

    given = {name: value for name, value in options.items() if value is not _NoValue}
    return scipy_method.scipy_method(fun, x0, args, jac, bounds=bounds, callback=ours, **given)


def same_every_time(seed: Any = None, default: Any = np.random.default_rng) -> Any:
    """Stand in for `numpy.random.default_rng`, where a test leaves the seed to chance."""
    return default(20261121 if seed is None else seed)


def pytest_configure() -> None:
    np.random.default_rng = same_every_time
    scipy_method.LBFGSB = Restored  # type: ignore[misc, assignment]
    minimize._minimize_lbfgsb = replacement
    lbfgsb_py._minimize_lbfgsb = replacement


def key(item: pytest.Item) -> str:
    return f"{item.path.stem}::{item.nodeid.partition('::')[2]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = [item for item in items if key(item) not in LISTED]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if key(item) in LISTED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "setup":
        records[key(item)] = current
    if report.when == "call" or not report.passed:
        current["outcome"] = report.outcome
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    global current
    np.random.seed(20261121)  # noqa: NPY002 - the generator that tests without a seed share
    current = {"calls": 0, "restored": 0, "outcome": "not run"}


def pytest_sessionfinish() -> None:
    Path(os.environ["OPTDRIVER_SCIPY_REPORT"]).write_text(json.dumps(records), "utf-8")
