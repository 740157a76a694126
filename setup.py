"""Build the numerical kernel as extensions where that is possible; everything else is in pyproject.

The kernel modules are plain Python files with type annotations (Cython's pure Python mode).  A
module belongs to the kernel when a ``.pxd`` file of the same name lies beside it.  They see each
other's C structures, so either all of them are compiled or none is: a mix would not import.

What is compiled keeps to the stable ABI of CPython 3.11 (abi3), so that one wheel a platform serves
that version and all later ones.  A free-threaded CPython has no such ABI: its wheel is its own.

Environment variables
---------------------
OPTDRIVER_NO_EXTENSION=1
    Do not compile; the same files are then interpreted, slower and with the same results.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OLDEST = (3, 11)
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")
# what this build leaves, and those before it
SUFFIXES = (".abi3.so", ".pyd", sysconfig.get_config_var("EXT_SUFFIX"))

KERNEL = [Path("optdriver", "lbfgsb"), Path("optdriver", "geometry")]

# -ffp-contract=off: a fused multiply-add rounds once where Python rounds twice.
# -fno-trapping-math, -fno-math-errno: nobody looks at the processor's flags or at errno, which
# keep a compiler from choosing between two numbers without a branch.  No number changes by them.
# -fvisibility=hidden: a kernel function may bear the name of one in the C library.
GNU_FLAGS = [
    "-O3",
    "-ffp-contract=off",
    "-fno-fast-math",
    "-fno-trapping-math",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-g0",
]
MSVC_FLAGS = ["/O2", "/fp:precise"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    # Threads share nothing that is written to, but for what the user shares.
    "freethreading_compatible": not STABLE,
}


def kernel_modules() -> list[Path]:
    """Return the files in the kernel directories that have a ``.pxd`` sibling."""
    files = (p for room in KERNEL for p in sorted(room.glob("[!_]*.py")))
    return [p for p in files if p.with_suffix(".pxd").exists()]


def unwanted() -> bool:
    """Tell whether the user asked for an interpreted kernel."""
    return os.environ.get("OPTDRIVER_NO_EXTENSION", "0") not in ("", "0")


def extensions() -> list[Extension]:
    """Return one extension a kernel module."""
    headers = sorted(p.as_posix() for room in KERNEL for p in room.glob("*.pxd"))
    version = f"0x{OLDEST[0]:02x}{OLDEST[1]:02x}0000"
    return [
        Extension(
            ".".join(path.with_suffix("").parts),
            [path.as_posix()],
            depends=headers,
            define_macros=[("Py_LIMITED_API", version)] if STABLE else [],
            py_limited_api=STABLE,
        )
        for path in kernel_modules()
    ]


def options() -> dict[str, dict[str, str]]:
    """Return the tag of the wheel: that of the stable ABI, if that is what is compiled."""
    return {"bdist_wheel": {"py_limited_api": "cp{}{}".format(*OLDEST)}} if STABLE else {}


class BuildAllOrNothing(build_ext):
    """Compile every kernel module, or leave none of them compiled and say why."""

    def run(self) -> None:
        """Translate, compile and link; where the machine cannot, take everything back."""
        self._remove_compiled()
        if unwanted():
            self._go_without("OPTDRIVER_NO_EXTENSION asks for that")
            return
        try:
            from Cython.Build import cythonize
        except ImportError as error:
            self._go_without(f"there is no Cython: {error}")
            return
        # An error of ours in a kernel file ends the build here; below, the machine is at fault.
        self._translate(cythonize)
        try:
            super().run()
        except (Exception, SystemExit) as error:  # compilers fail in their own ways
            self._go_without(f"{type(error).__name__}: {error!s:.300}")
        else:
            self._say(f"the numerical kernel was compiled: {len(self.extensions)} modules")

    def build_extensions(self) -> None:
        """Compile with the flags under which the bits are those of the interpreter."""
        flags = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else GNU_FLAGS
        for extension in self.extensions:
            extension.extra_compile_args = flags
        super().build_extensions()

    def _translate(self, cythonize: Callable[..., list[Extension]]) -> None:
        """Translate to C below the build directory, never into the source tree."""
        built = cythonize(
            self.extensions, compiler_directives=DIRECTIVES, build_dir=self.build_temp, quiet=True
        )
        for extension, translated in zip(self.extensions, built, strict=True):
            extension.sources = translated.sources
        self.parallel = self.parallel or min(len(built), os.cpu_count() or 1)

    def _go_without(self, reason: str) -> None:
        self._remove_compiled()
        self.extensions = []
        self._say(
            f"the numerical kernel was NOT compiled: {reason}",
            "optdriver is installed all the same; its kernel is interpreted, with the same",
            "results and slower. With a C compiler in place, reinstall to compile it.",
        )

    def _remove_compiled(self) -> None:
        """Remove what this or an earlier build left, so that never half of a kernel stays."""
        roots = [Path(self.build_lib)]
        if self.inplace or self.editable_mode:
            roots.append(Path())
        for path in (p for root in roots for room in KERNEL for p in (root / room).glob("*")):
            if path.name.endswith(SUFFIXES):
                path.unlink()

    @staticmethod
    def _say(*lines: str) -> None:
        print("optdriver: " + "\n           ".join(lines), file=sys.stderr, flush=True)


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNothing}, options=options())
