"""What is shipped, with a C compiler and without one.

The package is copied, built and installed into environments of their own, without the network:
each new environment borrows the libraries of the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import optdriver

ROOT = Path(__file__).resolve().parents[1]
KERNEL = sorted(
    p.relative_to(ROOT).with_suffix("").as_posix()
    for room in ("lbfgsb", "geometry")
    for p in ROOT.joinpath("optdriver", room).glob("[!_]*.py")
    if p.with_suffix(".pxd").exists()
)
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
POSIX = os.name == "posix"
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")
BUILT = (".abi3.so" if POSIX else ".pyd") if STABLE else SUFFIX

# A run through line searches, bounds and a failure; every number printed to the last bit.
PROGRAM = """
import importlib, json, sys
import numpy as np
from optdriver.lbfgsb import LBFGSB

def rosenbrock(x):
    t = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * t - 2 * (1 - x[:-1])
    g[1:] += 200 * t
    return float(np.sum(100 * t * t + (1 - x[:-1]) ** 2)), g

opt = LBFGSB(np.tile([-1.2, 1.0], 3), bounds=[(-2, 0.7), (-1, 2)] * 3, ftol=0, gtol=1e-9)
points = []
while not opt.done:
    x = opt.ask()
    points.append([float(v).hex() for v in x])
    if len(points) == 7:
        opt.tell_failure("injected")
    else:
        opt.tell(*rosenbrock(x))
files = [importlib.import_module(name.replace("/", ".")).__file__ for name in sys.argv[1:]]
json.dump({"points": points, "success": bool(opt.result.success), "files": files}, sys.stdout)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed, and return what it printed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OPTDRIVER", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def pip(python: Path, *arguments: str | Path, cwd: Path, **environment: str) -> str:
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "-v")
    command = (sys.executable, "-m", "pip", "--python", python)
    done = run(*command, *arguments[:1], *offline, *arguments[1:], cwd=cwd, **environment)
    return done.stdout + done.stderr


def new_environment(where: Path) -> Path:
    """Create an environment that borrows this one's libraries; return its interpreter."""
    venv.create(where, with_pip=False, symlinks=POSIX)
    python = where / ("bin/python" if POSIX else "Scripts/python.exe")
    found = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=where)
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(found.stdout.strip(), "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    return python


def copy_of_the_tree(where: Path) -> Path:
    """Copy what is built from, leaving behind what earlier builds left in the source."""
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, where / name)
    shutil.copy(ROOT / "CHANGELOG.md", where)
    leftovers = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "optdriver", where / "optdriver", ignore=leftovers)
    return where


def minimise(python: Path, cwd: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run(python, "-c", PROGRAM, *KERNEL, cwd=cwd).stdout)
    return result


def compiled(files: Iterable[str | Path]) -> list[str]:
    return [str(f) for f in files if str(f).endswith((".so", ".pyd"))]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    where = tmp_path / "tree"
    where.mkdir()
    return copy_of_the_tree(where)


@pytest.fixture(scope="module")
def half_built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a tree, translated to C, whose last file did not compile, and what was said of it."""
    folder = tmp_path_factory.mktemp("half")
    where = folder / "tree"
    where.mkdir()
    copy_of_the_tree(where)
    built = where / f"build/lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    for suffix in {SUFFIX, BUILT}:
        leftover = built / f"{KERNEL[0]}{suffix}"
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.touch()
    compiler = fake_compiler(folder, fails_at=KERNEL[-1])
    done = run(sys.executable, "setup.py", "build_ext", cwd=where, CC=str(compiler))
    return where, done.stderr


def fast_compiler(where: Path) -> Path:
    """Write a compiler that takes a third of the time, since it optimises nothing.

    That optimised pages have the same bits is what `tests/lbfgsb/test_kernels.py` is about.
    """
    path = where / "cc"
    path.write_text('#!/bin/sh\nexec cc "$@" -O0\n')
    path.chmod(0o755)
    return path


def fake_compiler(where: Path, fails_at: str) -> Path:
    """Write a compiler that leaves an empty file for all sources but one, where it fails."""
    path = where / "cc"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nargs = sys.argv[1:]\n"
        f"if any(a.endswith('{fails_at}.c') for a in args):\n    sys.exit('no space left')\n"
        "open(args[args.index('-o') + 1], 'w').close()\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_compiled_and_interpreted_installations_agree_to_the_last_bit(
    half_built: tuple[Path, str], tmp_path: Path
) -> None:
    tree, _ = half_built
    # Compiled, through a source distribution and a wheel.
    run(
        sys.executable,
        *("-c", "from setuptools import build_meta as b; print(b.build_sdist('dist'))"),
        cwd=tree,
    )
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        shipped = archive.getnames()
    assert not [name for name in shipped if name.endswith((".c", ".so", ".pyd"))]
    python = new_environment(tmp_path / "with")
    compiler = {"CC": str(fast_compiler(tmp_path))} if POSIX else {}
    pip(python, "wheel", sdist, "-w", tree / "dist", cwd=tmp_path, **compiler)
    (wheel,) = (tree / "dist").glob("*.whl")
    assert ("-cp311-abi3-" in wheel.name) == STABLE
    names = zipfile.ZipFile(wheel).namelist()
    for name in KERNEL:
        for suffix in (".py", ".pxd", BUILT):
            assert f"{name}{suffix}" in names
    assert "optdriver/py.typed" in names
    assert not [name for name in names if name.endswith(".c") or not name.startswith("optdriver")]
    pip(python, "install", wheel, cwd=tmp_path)
    fast = minimise(python, tmp_path)
    assert len(compiled(fast["files"])) == len(KERNEL)

    # Interpreted: the same tree where no compiler works.
    python = new_environment(tmp_path / "without")
    said = pip(python, "install", tree, cwd=tmp_path, CC="/bin/false", CXX="/bin/false")
    assert "kernel was NOT compiled" in said
    slow = minimise(python, tmp_path)
    assert compiled(slow["files"]) == []

    assert fast["success"]
    assert fast["points"] == slow["points"]


def test_half_a_kernel_never_stays(half_built: tuple[Path, str]) -> None:
    tree, said = half_built
    assert "no space left" in said
    assert "kernel was NOT compiled" in said
    assert compiled(tree.rglob("*")) == []


def test_a_build_without_cython_goes_without_the_extension(tree: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "Cython"
    hidden.mkdir(parents=True)
    hidden.joinpath("__init__.py").write_text("raise ImportError('no Cython here')")
    done = run(*(sys.executable, "setup.py", "build"), cwd=tree, PYTHONPATH=str(hidden.parent))
    assert "kernel was NOT compiled: there is no Cython" in done.stderr
    built = [
        *tree.glob("build/lib*/optdriver/lbfgsb/*"),
        *tree.glob("build/lib*/optdriver/geometry/*"),
    ]
    assert {f"{Path(name).name}.py" for name in KERNEL} <= {path.name for path in built}
    assert compiled(built) == []


def test_an_error_in_a_kernel_file_ends_the_build(tree: Path) -> None:
    source = tree / f"{KERNEL[0]}.py"
    source.write_text(source.read_text(encoding="utf-8") + "\ndef (:\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="CompileError"):
        run(sys.executable, "setup.py", "build_ext", cwd=tree)


def test_an_editable_installation_can_do_without_a_compiler(tree: Path, tmp_path: Path) -> None:
    for suffix in {SUFFIX, BUILT}:
        tree.joinpath(f"{KERNEL[0]}{suffix}").touch()
    python = new_environment(tmp_path / "environment")
    pip(python, "install", "--editable", tree, cwd=tmp_path, OPTDRIVER_NO_EXTENSION="1")
    files = minimise(python, tmp_path)["files"]
    assert compiled(files) == []
    assert all(Path(f).is_relative_to(tree) for f in files)


def test_the_import_is_light() -> None:
    heavy = ("jax", "sympy", "scipy.stats", "matplotlib", "rich", "pandas", "polars")
    code = f"import sys, optdriver; print([m for m in {heavy} if m in sys.modules])"
    assert run(sys.executable, "-c", code, cwd=ROOT).stdout.strip() == "[]"


@pytest.mark.parametrize("room", ["optdriver.study", "optdriver.cli.commands", "optdriver.remote"])
def test_studies_are_opened_shown_and_asked_without_scipy(room: str) -> None:
    heavy = ("jax", "sympy", "scipy.optimize", "scipy.linalg", "scipy.sparse", "matplotlib")
    code = f"import sys, {room}; print([m for m in {heavy} if m in sys.modules])"
    assert run(sys.executable, "-c", code, cwd=ROOT).stdout.strip() == "[]"


@pytest.mark.parametrize("constraints", [[], ["x + y^2 <= 1.5"]])
def test_a_study_is_shown_without_what_takes_long_to_import(
    tmp_path: Path, constraints: list[str]
) -> None:
    path = str(tmp_path / "s.db")
    box = {"x": (-2, 2), "y": (-2, 2)}
    study = optdriver.create_study(box, storage=path, max_iter=40, constraints=constraints)
    study.set_objective(lambda x, y: (x * x - 1) ** 2 + y)
    study.run(progress=False)
    study.close()
    heavy = ("scipy.optimize", "scipy.stats", "scipy.sparse", "asyncio", "numpy.ma", "jax", "sympy")
    code = (
        f"import sys\nfrom optdriver.cli import commands\nsys.argv[1:] = ['show', {path!r}]\n"
        f"commands.run_app()\nprint([m for m in {heavy} if m in sys.modules])"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT).stdout.endswith("\n[]\n")


def test_the_type_hints_are_shipped() -> None:
    assert ROOT.joinpath("optdriver/py.typed").exists()


@pytest.mark.slow
def test_the_tests_of_wheels_need_no_more_than_the_release_installs() -> None:
    """What else the quick tests need is away; collecting them imports all that they import."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheels = configured["tool"]["cibuildwheel"]
    extras = configured["project"]["optional-dependencies"].values()
    names = {re.split(r"[\[<>=,]", entry)[0] for extra in extras for entry in extra}
    asked = {re.split(r"[<>=]", entry)[0] for entry in wheels["test-requires"]}
    away = sorted({name.lower().replace("-", "_") for name in names - asked - {"optdriver"}})
    assert {"jax", "optuna", "coverage"} <= {*away}
    places = wheels["test-command"].partition("pytest ")[2].split()
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({away!r}))\n"
        f"import pytest; sys.exit(pytest.main({['--collect-only', '-q', '-n', '0', *places]!r}))"
    )
    run(sys.executable, "-c", script, cwd=ROOT)
