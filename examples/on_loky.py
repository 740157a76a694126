"""Evaluate in processes with loky: closures travel, dead workers are replaced.

Run it with ``python -m examples.on_loky``.
"""

from __future__ import annotations

import loky

import optdriver


def bowl(x: float, y: float) -> tuple[float, list[float]]:
    """Return the value and the gradient of a bowl."""
    return (x - 1) ** 2 + (y + 1) ** 2, [2 * (x - 1), 2 * (y + 1)]


def main() -> optdriver.Study:
    """Run a study there."""
    study = optdriver.create_study(
        {"x": (-3, 3), "y": (-3, 3)}, jac=True, num_parallel=2, max_num_minimizers=2
    )
    with loky.ProcessPoolExecutor(2) as executor:
        study.run(bowl, executor=executor)
    print(f"minimum {study.best.value:.1e} after {study.num_evaluations} evaluations")
    return study


if __name__ == "__main__":
    main()
