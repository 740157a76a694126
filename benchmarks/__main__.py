"""Run benchmarks by name, or all of them, and write the results: ``python -m benchmarks``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

SCRIPTS = ("standard", "overhead", "wasted", "failures", "study")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
USAGE = f"""usage: python -m benchmarks [NAME ...] [-- OPTIONS]

NAME: {", ".join(SCRIPTS)}; all of them if none is given.
OPTIONS go to the scripts; ``python -m benchmarks NAME -- --help`` lists a script's own. BLAS is
held to one thread, unless ``--threads`` is among them (overhead takes it)."""


def single_threaded() -> None:
    """Start again with one BLAS thread: it is read once, when NumPy is loaded."""
    if "--threads" not in sys.argv and any(os.environ.get(name) != "1" for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])


def main(arguments: Sequence[str]) -> int:
    """Run what is named in `arguments`; return 1 if a target is missed, 2 for a wrong name."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, options = list(arguments[:split]) or list(SCRIPTS), list(arguments[split + 1 :])
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}\n\n{USAGE}", file=sys.stderr)
        return 2
    from benchmarks.report import write

    missed = 0
    for name in names:
        section = importlib.import_module(f"benchmarks.{name}").run(options)
        print(section.markdown())
        write(section)
        missed += sum(not target.met for target in section.targets)
    return 1 if missed else 0


if __name__ == "__main__":
    single_threaded()
    sys.exit(main(sys.argv[1:]))
