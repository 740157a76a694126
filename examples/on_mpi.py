"""Evaluate on the ranks of an MPI job.

Run it with ``mpiexec -n 3 python -m mpi4py.futures -m examples.on_mpi``: one rank asks and tells,
the others evaluate.  Needs mpi4py (``pip install mpi4py``) and an MPI library.
"""

from __future__ import annotations

from mpi4py.futures import MPIPoolExecutor

import optdriver


def bowl(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of a bowl."""
    return (x - 1) ** 2 + (y + 1) ** 2, [2 * (x - 1), 2 * (y + 1)]


def main() -> optdriver.Study:
    """Run a study there."""
    study = optdriver.create_study(
        {"x": (-3, 3), "y": (-3, 3)}, jac=True, num_parallel=2, max_num_minimizers=2
    )
    with MPIPoolExecutor() as executor:
        study.run(bowl, executor=executor)
    print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
    return study


if __name__ == "__main__":
    main()
