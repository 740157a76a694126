"""Train a network of 26 parameters, and draw what it predicts of new data to a file, if named."""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optdriver

VECTOR = optdriver.Interval(-4, 4, shape=5)
HIDDEN = {"w": optdriver.Interval(-4, 4, shape=(3, 5)), "b": VECTOR}
BOUNDS = {"hidden": HIDDEN, "output": {"w": VECTOR, "b": (-4, 4)}}


def data(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the cube and a smooth function of them, with a little noise."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (number, 3))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    return x, y + random.normal(scale=0.02, size=number)


def predict(x, hidden, output):
    """Return what the network says of points, (k, 3)."""
    return jnp.tanh(x @ hidden["w"] + hidden["b"]) @ output["w"] + output["b"]


def main() -> Any:
    """Train from eight starts; decay keeps the weights moderate."""
    x, y = data(0, 200)

    def loss(hidden, output):
        decay = jnp.sum(hidden["w"] ** 2) + jnp.sum(output["w"] ** 2)
        return jnp.mean((predict(x, hidden, output) - y) ** 2) + 1e-5 * decay

    return optdriver.minimize(loss, BOUNDS, n_iter=8, x64=True, options={"maxiter": 300})


def draw(result: Any, path: str) -> None:
    """Draw predictions beside what is true."""
    x, y = data(1, 100)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="true", ylabel="predicted", aspect="equal")
    axes.plot(y, predict(x, **result.x), "o", color="#35507a")
    axes.axline((0, 0), slope=1, color="#7a7a7a")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    result = main()
    print(f"loss {result.fun:.5f} from start {result.start}, {result.nfev} evaluations")
    if len(sys.argv) > 1:
        draw(result, sys.argv[1])
