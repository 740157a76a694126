"""The objective is a program: JSON in, JSON out, with a time limit.

Run it with ``python -m examples.simulation_program``.
"""

from __future__ import annotations

import sys

import optdriver

SIMULATOR = """
import json, sys
p = json.load(sys.stdin)
if p["width"] > 2.5:
    sys.exit("the mesh cannot be generated")
value = (p["width"] - 1.2) ** 2 + (p["height"] - p["load"]) ** 2
gradient = {"width": 2 * (p["width"] - 1.2), "height": 2 * (p["height"] - p["load"])}
print(json.dumps({"value": value, "gradient": gradient}))
"""


def main() -> optdriver.Study:
    """Minimise what the program computes, three at a time."""
    study = optdriver.create_study(
        {"width": (0.5, 3.0), "height": (0.5, 3.0), "load": 0.9},
        jac=True,
        num_parallel=3,
        max_num_minimizers=3,
        initial_samples=[[2.8, 1.0]],
    )
    study.run(optdriver.SubprocessObjective([sys.executable, "-c", SIMULATOR], timeout=60))
    print("best:", ", ".join(f"{name} = {x:.4f}" for name, x in study.best.params.items()))
    print("a failure:", study.history["reason"][0])
    return study


if __name__ == "__main__":
    main()
