"""Run benchmarks by name, or all of them, and write the results: ``python -m benchmarks``."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence

SMALL = ("--sizes", "2", "10", "100", "1000")
JOBS: dict[str, tuple[str, ...]] = {  # name: module and options
    "standard": ("standard",),
    "standard-tight": ("standard", "--tight"),
    "overhead": ("overhead",),
    "overhead-busy": ("overhead", "--busy", "--quick", "6"),
    "overhead-busy-threads": ("overhead", "--busy", "--threads", "--quick", "12", *SMALL),
    "batch": ("batch",),
    "jax-batch": ("jax_batch",),
    "device": ("device",),
    "batch-busy": ("batch", "--busy", "--quick", "3"),
    "wasted": ("wasted",),
    "once": ("once",),
    "failures": ("failures",),
    "crashes": ("crashes",),
    "false-success": ("false_success",),
    "false-success-unseen": ("false_success", "--unseen"),
    "doubt": ("doubt",),
    "valleys": ("valleys",),
    "curved": ("curved",),
    "huge": ("huge",),
    "saddles": ("saddles",),
    "saddles-coupled": ("saddles", "--kind", "coupled"),
    "noise": ("noise",),
    "noise-fresh": ("noise", "--fresh"),
    "noise-doors": ("noise_doors",),
    "study": ("study",),
    "rounds": ("rounds",),
    "places": ("places",),
    "summaries": ("summaries",),
    "storage": ("storage",),
    "signals": ("signals",),
    "chaos": ("chaos",),
    "hostile": ("hostile",),
    "dropins": ("dropins",),
    "dropins-busy": ("dropins", "--busy", "--quick", "3"),
    "constrained": ("constrained",),
    "outputs": ("outputs",),
    "outputs-study": ("outputs", "--study"),
    "outputs-noise": ("outputs_noise",),
    "fits": ("fits",),
    "fits-sobol": ("fits", "--sobol"),
    "rounded": ("rounded",),
    "factors": ("factors",),
    "fits-errors": ("fits_errors",),
    "fits-constrained": ("fits_constrained",),
    "lukvli": ("lukvli",),
    "constrained-large": ("constrained_large",),
    "constrained-overhead": ("constrained_overhead",),
    "engineering": ("engineering",),
    "starts": ("starts",),
    "fuzz": ("fuzz_constraints",),
    "fuzz-asked": ("fuzz_constraints", "--asked"),
    "fuzzed-studies": ("fuzzed_studies",),
    "minima": ("minima",),
    "startup": ("startup",),
    "completeness": ("completeness",),
}
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
USAGE = f"""usage: python -m benchmarks [NAME ...] [-- OPTIONS]

NAME: {", ".join(JOBS)}; all of them if none is given.
OPTIONS go to the script; ``python -m benchmarks NAME -- --help`` lists a script's own. BLAS is
held to one thread, unless ``--threads`` is among the options."""


def environment(options: Sequence[str]) -> dict[str, str]:
    """Return the environment of a job: BLAS reads its threads once, when NumPy is loaded."""
    kept = {name: value for name, value in os.environ.items() if name not in THREADS}
    return kept if "--threads" in options else kept | dict.fromkeys(THREADS, "1")


def start(name: str, options: Sequence[str]) -> int:
    """Run one job in a process of its own; return its exit status."""
    module, *own = JOBS[name]
    command = [sys.executable, "-m", "benchmarks", "--job", module, *own, *options]
    return subprocess.run(command, env=environment([*own, *options]), check=False).returncode


def job(module: str, options: Sequence[str]) -> int:
    """Do one job here, print its results and write them; return 1 if a target is missed."""
    from benchmarks.report import write

    section = importlib.import_module(f"benchmarks.{module}").run(options)
    print(section.markdown(), flush=True)
    write(section)
    return int(not all(target.met for target in section.targets))


def main(arguments: Sequence[str]) -> int:
    """Run what is named in `arguments`; return 1 if a target is missed, 2 for a wrong name."""
    if arguments[:1] == ["--job"]:
        return job(arguments[1], arguments[2:])
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, options = list(arguments[:split]) or list(JOBS), list(arguments[split + 1 :])
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}\n\n{USAGE}", file=sys.stderr)
        return 2
    return max(start(name, options) for name in names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
