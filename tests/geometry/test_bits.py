"""Neither the processor nor a compiler decides a bit of what fits and constraints ask.

OpenBLAS and NumPy choose their code by the processor.  Each can be told to take another one's, and
`sequences` is run once for each in a process of its own.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

ROOT = Path(__file__).parents[2]
NEEDS = {
    "Prescott": ["SSE3"],
    "Sandybridge": ["AVX"],
    "Haswell": ["AVX2", "FMA3"],
    "Zen": ["AVX2", "FMA3"],
    "SkylakeX": ["AVX512F", "AVX512CD", "AVX512_SKX"],
}
CORES = [core for core, needs in NEEDS.items() if all(__cpu_features__.get(n) for n in needs)]
"""The kinds of processor that OpenBLAS can be told and this machine can play."""

FEATURES = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
"""What NumPy has code of its own for, beyond its baseline, and this machine has."""

FEW = ("HS71", "HS76", "HS103", "corner", "curve-differences", "large")
FITS = ("fit", "fit-tiles", "fit-box", "fit-ball", "SQP-HS71", "SQP-HS100")


@functools.cache
def sequences(names: tuple[str, ...], **environment: str) -> dict[str, list[list[str]]]:
    """Return the sequences as a process in this environment makes them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.geometry.sequences", *names],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        check=True,
        capture_output=True,
    )
    made: dict[str, list[list[str]]] = json.loads(done.stdout)
    return made


def assert_same(names: tuple[str, ...], **environment: str) -> None:
    here, there = sequences(names), sequences(names, **environment)
    differing = [
        f"{name}: point {k} of {len(points)}"
        for name, points in here.items()
        for k, (x, y) in enumerate(zip(points, there[name], strict=True))
        if x != y
    ]
    assert differing == []
    assert all(len(points) > 3 for points in here.values())


def test_a_simple_processor_asks_the_same_points():
    assert_same(
        FEW + FITS,
        OPENBLAS_CORETYPE="Prescott",
        OPENBLAS_NUM_THREADS="2",
        NPY_DISABLE_CPU_FEATURES=" ".join(FEATURES),
    )


def test_the_interpreted_pages_ask_the_same_points():
    assert_same(FEW[:4] + FITS, OPTDRIVER_KERNEL="interpreted")


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_every_kind_of_processor_asks_the_same_points(core):
    assert_same((), OPENBLAS_CORETYPE=core)


@pytest.mark.slow
@pytest.mark.parametrize("feature", FEATURES)
def test_what_numpy_does_without_changes_no_point(feature):
    assert_same((), NPY_DISABLE_CPU_FEATURES=feature)
