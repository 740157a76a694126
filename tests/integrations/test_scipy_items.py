"""SciPy's own tests of L-BFGS-B, run on ours, with the state restored from a pickle at every step.

The items run in processes of their own, one for each kernel that is there, because the plugin
replaces parts of SciPy.  Where there is a compiled kernel, the interpreted one, of the same bits
(`tests/lbfgsb/test_kernels.py`), is spared the items that call L-BFGS-B again and again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import scipy

import optdriver
from optdriver.lbfgsb import compiled

HERE = Path(__file__).parent
MODULES = [
    "test_optimize",
    "test_lbfgsb_hessinv",
    "test_lbfgsb_setulb",
    "test__shgo",
    "test_minimize_constrained",
]
AGAIN_AND_AGAIN = ["test__basinhopping", "test__dual_annealing", "test__differential_evolution"]
KERNELS = ["interpreted", "compiled"] if compiled() else ["interpreted"]

Records = dict[str, dict[str, Any]]


def run(kernel: str, folder: Path) -> tuple[Records, str]:
    """Run SciPy's tests on one kernel, away from this project's own settings."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    paths = [str(Path(optdriver.__file__).parents[1]), str(HERE)]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        "OPTDRIVER_KERNEL": kernel,
        "OPTDRIVER_SCIPY_REPORT": str(folder / "report.json"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "scipy_plugin", "-p", "no:cacheprovider"]
    modules = [*MODULES, *AGAIN_AND_AGAIN] if kernel == KERNELS[-1] else MODULES
    command += ["--tb=short", "--pyargs", *(f"scipy.optimize.tests.{name}" for name in modules)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    report = folder / "report.json"
    records = json.loads(report.read_text("utf-8")) if report.exists() else {}
    return records, f"exit status {done.returncode}\n{done.stdout[-20_000:]}{done.stderr}"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Records, str]]:
    """Return what became of the items on every kernel; the kernels run side by side."""
    folder = tmp_path_factory.mktemp("scipy")
    with ThreadPoolExecutor(len(KERNELS)) as pool:
        done = pool.map(lambda kernel: run(kernel, folder / kernel), KERNELS)
        return dict(zip(KERNELS, done, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_item_passes_on_our_minimizer(reports: Any, kernel: str) -> None:
    records, output = reports[kernel]
    assert output.startswith("exit status 0\n"), output
    assert {key: at["outcome"] for key, at in records.items() if at["outcome"] != "passed"} == {}
    assert [key for key, at in records.items() if at["calls"] == 0] == []
    assert all(at["restored"] > 0 for at in records.values())
    whole = kernel == KERNELS[-1]
    if scipy.__version__.startswith("1.17."):
        assert len(records) == (126 if whole else 77)
    else:  # another SciPy may have added, renamed or dropped items
        assert len(records) > (100 if whole else 60)


@pytest.mark.slow
def test_both_kernels_take_the_same_number_of_steps(reports: Any) -> None:
    fewer, every = (
        {key: at["restored"] for key, at in reports[kernel][0].items()}
        for kernel in (KERNELS[0], KERNELS[-1])
    )
    assert fewer.items() <= every.items()
