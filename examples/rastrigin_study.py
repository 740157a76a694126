"""Minimise the Rastrigin function with a study, in the words of simulation drivers."""

from __future__ import annotations

import math

import optdriver

client = optdriver.client()
study = client.create_study(
    domain=[
        {"name": "x1", "type": "continuous", "domain": (-1.5, 1.5)},
        {"name": "x2", "type": "continuous", "domain": (-1.5, 1.5)},
        {"name": "radius", "type": "fixed", "domain": 2},
    ],
    constraints=[{"name": "circle", "constraint": "sqrt(x1^2 + x2^2) - radius"}],
    driver="L_BFGS_B_Optimization",
    name="Rastrigin",
    study_id="rastrigin",
)
study.set_parameters(
    max_iter=25,
    num_parallel=3,
    num_initial=3,
    jac=True,
    initial_samples=[[0.5, 0.5], [-0.5, -0.5]],
)


def rastrigin(x1: float, x2: float, **_: float) -> optdriver.Observation:
    """Return the value and both derivatives as an observation."""
    observation = study.new_observation()
    observation.add(
        20 + x1**2 + x2**2 - 10 * (math.cos(2 * math.pi * x1) + math.cos(2 * math.pi * x2))
    )
    observation.add(derivative="x1", value=2 * x1 + 20 * math.pi * math.sin(2 * math.pi * x1))
    observation.add(derivative="x2", value=2 * x2 + 20 * math.pi * math.sin(2 * math.pi * x2))
    return observation


if __name__ == "__main__":
    study.set_objective(rastrigin)
    study.run()
    info = study.info()
    print(f"Minimum value {info['min_objective']:.3f} found for:")
    for name, value in info["min_params"].items():
        print(f"  {name} = {value:.3f}")
