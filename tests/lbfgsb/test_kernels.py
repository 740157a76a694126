"""The compiled and the interpreted kernel: one source, the same bits; which of them runs."""

from __future__ import annotations

import importlib.machinery
import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optdriver.lbfgsb
from optdriver.errors import InputError
from tests.lbfgsb.kernels import NAME, both, imported, interpreted
from tests.lbfgsb.problems import (
    ROSENBROCK_START,
    drive,
    options,
    problems,
    quartic,
    rosenbrock,
    same,
    through_json,
)

PACKAGE = Path(optdriver.lbfgsb.__file__).parent
KERNEL = sorted(path.stem for path in PACKAGE.glob("*.pxd"))


def test_the_second_copy_is_whole_and_interpreted():
    assert not interpreted.compiled()
    assert imported.modules.keys() == interpreted.modules.keys()
    for name, module in interpreted.modules.items():
        assert Path(module.__file__).suffix == ".py"
        assert module is not imported.modules[name]
    assert sys.modules[NAME] is imported.modules[NAME]
    assert imported.LBFGSB is optdriver.lbfgsb.LBFGSB
    assert repr(interpreted) == "interpreted"


def trace(opt, fun, failing):
    """All points, and the state at the end."""
    points = []

    def counted(x):
        points.append(x.tobytes())
        return None if len(points) in failing else fun(x)

    drive(opt, counted)
    return points, opt.to_dict()["state"]


@settings(max_examples=60)
@given(problem=problems, options=options, failing=st.sets(st.integers(1, 40), max_size=4))
def test_both_kernels_give_the_same_bits(problem, options, failing):
    first, second = (
        trace(kernel.LBFGSB(problem.x0, problem.bounds, **options), problem.fun, failing)
        for kernel in both
    )
    assert first[0] == second[0]
    assert same(first[1], second[1])


@pytest.mark.parametrize("n", [63, 64, 101])
def test_large_problems_too(n):
    bounds = [(None, 0.7) if i % 3 else (-0.5, None) for i in range(n)]
    runs = [
        trace(kernel.LBFGSB(np.linspace(-1, 2, n), bounds, maxfun=15), rosenbrock, {4})
        for kernel in both
    ]
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])


@pytest.mark.parametrize("scale", [1e-160, 1e-80, 1e80, 1e150])
@pytest.mark.parametrize("bounds", [None, [(-2, 2)] * 3])
def test_extreme_values_too(scale, bounds):
    def fun(x):
        f, g = quartic(x)
        return scale * f, scale * g

    runs = [
        trace(kernel.LBFGSB([0.0, 3.0, -1.0], bounds, maxfun=40, gtol=0.0, ftol=0.0), fun, ())
        for kernel in both
    ]
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])


def handed_over(opt, way, to):
    """The minimizer `opt`, stored under its own kernel and restored under the kernel `to`."""
    here = interpreted if isinstance(opt, interpreted.LBFGSB) else imported
    if way == "json":
        return to.LBFGSB.from_dict(json.loads(json.dumps(through_json(opt.to_dict()))))
    if way == "dict":
        return to.LBFGSB.from_dict(opt.to_dict())
    with here.installed():
        stored = pickle.dumps(opt)
    with to.installed():
        return pickle.loads(stored)


@pytest.mark.parametrize("way", ["pickle", "dict", "json"])
def test_a_run_goes_on_under_the_other_kernel(way):
    bounds = [(-1.5, 0.8), (None, None), (-2, 2)]
    reference = interpreted.LBFGSB(ROSENBROCK_START, bounds)
    drive(reference, rosenbrock)
    opt = imported.LBFGSB(ROSENBROCK_START, bounds)
    while not opt.done:
        opt = handed_over(opt, way, interpreted if isinstance(opt, imported.LBFGSB) else imported)
        opt.tell(*rosenbrock(opt.ask()))
    assert same(opt.to_dict()["state"], reference.to_dict()["state"])


def test_the_compiler_reads_the_numbers_of_codes():
    text = (PACKAGE / "constants.pxd").read_text("utf-8")
    numbers = {name: int(value) for name, value in re.findall(r"^ +(\w+) = (\d+)$", text, re.M)}
    codes = imported.codes
    assert numbers == {name: getattr(codes, name) for name in numbers}
    assert {*codes.Phase.__members__, *codes.Stop.__members__} <= numbers.keys()
    assert len(numbers) == 4 + 9 + 9


@pytest.mark.parametrize(
    "name", [n for n in KERNEL if n != "__init__" and (PACKAGE / f"{n}.py").exists()]
)
def test_every_declared_function_has_the_arguments_of_its_source(name):
    source = (PACKAGE / f"{name}.py").read_text("utf-8")
    declared = (PACKAGE / f"{name}.pxd").read_text("utf-8")
    for function, arguments in re.findall(r"^cp?def .*?(\w+)\((.*)\)", declared, re.M):
        found = re.search(rf"^def {function}\((.*?)\)\s*->", source, re.M | re.S)
        if found is None:
            assert f"def {function}(self)" in source
            continue
        names = [re.split(r"[ *]", one.strip())[-1] for one in arguments.split(",")]
        assert re.findall(r"(\w+):", found[1]) == names


# -- the choice


@pytest.fixture
def meta_path(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return sys.meta_path


def test_unasked_nothing_is_changed(monkeypatch, meta_path):
    monkeypatch.delenv(imported._kernel.VARIABLE, raising=False)
    before = list(meta_path)
    imported._kernel.choose()
    assert sys.meta_path == before


def test_the_interpreted_kernel_can_be_asked_for(monkeypatch, meta_path):
    monkeypatch.setenv(imported._kernel.VARIABLE, "interpreted")
    imported._kernel.choose()
    spec = sys.meta_path[0].find_spec(f"{NAME}.machine")
    assert spec.origin == str(PACKAGE / "machine.py")
    assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    for other in ("numpy", f"{NAME}.codes", f"{NAME}.nothing", "optdriver.errors"):
        assert sys.meta_path[0].find_spec(other) is None


@pytest.mark.parametrize("suffix", ["so", "pyd"])
def test_the_compiled_kernel_can_be_asked_for_where_there_is_one(monkeypatch, tmp_path, suffix):
    monkeypatch.setenv(imported._kernel.VARIABLE, "compiled")
    monkeypatch.setattr(imported._kernel, "_HERE", tmp_path)
    with pytest.raises(InputError, match="without its compiled"):
        imported._kernel.choose()
    (tmp_path / f"machine.abi.{suffix}").touch()
    imported._kernel.choose()


def test_another_kernel_is_refused(monkeypatch):
    monkeypatch.setenv(imported._kernel.VARIABLE, "fortran")
    with pytest.raises(InputError, match="'fortran'; expected 'compiled' or 'interpreted'"):
        imported._kernel.choose()


def test_the_stand_in_for_cython_has_what_the_kernel_uses():
    shim = imported._shim
    assert shim.compiled is False
    with shim.nogil:
        pass
    used = set()
    for name in KERNEL:
        path = PACKAGE / f"{name}.py"
        text = path.read_text("utf-8") if path.exists() else ""
        code = re.sub(r"(:|->) cython\.\w+|^ +\w+: cython.*$", "", text, flags=re.M)
        used |= set(re.findall(r"cython\.(\w+)", code))
    compiled_only = {"cimports", "address", "cast", "double", "p_double", "p_void", "Py_ssize_t"}
    assert used - compiled_only <= set(vars(shim)), used


def test_other_pages_read_arrays_of_any_shape_by_the_kernels_words():
    """Interpreted: what the pages beside this one read by, which no minimizer needs."""
    array = np.arange(6.0).reshape(2, 3)
    read = interpreted.modules[f"{NAME}.state"].reading(array)
    assert [read[k] for k in range(6)] == array.ravel().tolist()
    known = interpreted.modules[f"{NAME}.state"].is_contiguous
    assert known(array)
    assert not known(array.T)
    assert not known(array.astype(np.float32))
