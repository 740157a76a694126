"""Batches and single minimizers run beside each other."""

from __future__ import annotations

import contextlib
import importlib
import sys

import numpy as np

from tests.lbfgsb.kernels import imported, interpreted
from tests.lbfgsb.problems import ripples

NAME = "optdriver.batch"


def _modules():
    return {name: module for name, module in sys.modules.items() if name.startswith(NAME)}


@contextlib.contextmanager
def batches_on(kernel):
    """Give the package `optdriver.batch` as it is on one of the kernels."""
    importlib.import_module(NAME)
    before = _modules()
    with kernel.installed():
        if kernel is interpreted:
            for name in before:
                del sys.modules[name]
        try:
            yield importlib.import_module(NAME)
        finally:
            for name in _modules():
                del sys.modules[name]
            sys.modules.update(before)
            sys.modules["optdriver"].batch = before[NAME]


def by_rows(fun):
    """The objective of many points, each evaluated as if it were alone."""

    def rows(x):
        found = [fun(point) for point in x]
        return (
            np.array([f for f, _ in found]),
            np.array([g for _, g in found]).reshape(x.shape),
        )

    return rows


many_ripples = by_rows(ripples)


def alone(fun, x0, bounds, failing=(), kernel=imported, **options):
    """One minimizer and the points that it asked, in bytes."""
    opt, points = kernel.LBFGSB(x0, bounds, **options), []
    while not opt.done:
        x = opt.ask()
        points.append(x.tobytes())
        f, g = fun(x)
        opt.tell(np.nan if opt.nfev in failing else f, g)
    return opt, points


def go(batch, fun, failing=(), traces=None, rounds=None):
    """Run a batch; (lane, evaluation) in `failing` come out as NaN.  Returns the points by lane."""
    traces = {} if traces is None else traces
    while not batch.done and rounds != 0:
        x, lanes = batch.ask(), batch.lanes
        f, g = fun(x)
        for row, lane in enumerate(lanes.tolist()):
            trace = traces.setdefault(lane, [])
            if (lane, len(trace)) in failing:
                f[row] = np.nan
            trace.append(x[row].tobytes())
        batch.tell(f, g)
        rounds = None if rounds is None else rounds - 1
    return traces


def check_lane(result, lane, opt):
    """The row of a result says what the single minimizer says."""
    one = opt.result
    for name in ("x", "fun", "jac"):
        expected = np.asarray(one[name]).tobytes()
        assert np.asarray(result[name][lane]).tobytes() == expected, name
    for name in ("nfev", "nit", "nfail", "stop", "status", "success", "message"):
        assert result[name][lane] == one[name], name
