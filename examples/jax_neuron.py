"""Fit a neuron's response to a current step, in ms, mV and pA; draw it to a file, if named."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import saiunit as u
from matplotlib.figure import Figure

import optdriver

TIMES = np.arange(0.0, 100.0, 2.0) * u.ms
TRUE = {"tau": 12.0 * u.ms, "rest": -68.0 * u.mV, "bias": 20.0 * u.pA}
STEP, RESISTANCE, ONSET = 150.0 * u.pA, 0.1 * u.Gohm, 20.0 * u.ms


def potential(tau, rest, bias):
    """Return the membrane potential: it charges from the onset of the step on."""
    on = u.math.maximum((TIMES - ONSET) / tau, 0.0)
    return rest + RESISTANCE * (bias + STEP * (1 - u.math.exp(-on)))


def recorded() -> u.Quantity:
    """Return what was measured: the true response and 0.2 mV of noise."""
    noise = np.random.default_rng(0).normal(scale=0.2, size=TIMES.shape) * u.mV
    return potential(**TRUE) + noise


def main() -> Any:
    """Fit; the loss computes with units, and the result has those of the lower sides."""
    measured = np.asarray(recorded() / u.mV) * u.mV

    def loss(tau, rest, bias):
        # The rest and the bias shift all that is seen; a prior keeps the bias near 20 pA.
        misfit = u.math.mean(((potential(tau, rest, bias) - measured) / u.mV) ** 2)
        return misfit + ((bias - 20 * u.pA) / (5 * u.pA)) ** 2

    bounds = {"tau": (1.0 * u.ms, 0.05 * u.second), "rest": (-80.0 * u.mV, -50.0 * u.mV)}
    bounds["bias"] = (-100.0 * u.pA, 100.0 * u.pA)
    return optdriver.minimize(loss, bounds, n_iter=5, x64=True)


def draw(result: Any, path: str) -> None:
    """Draw the record and the fit."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="time in ms", ylabel="membrane potential in mV")
    axes.plot(TIMES / u.ms, recorded() / u.mV, ".", color="#7a7a7a", label="recorded")
    axes.plot(TIMES / u.ms, potential(**result.x) / u.mV, color="#c0392b", label="fitted")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    result = main()
    print(", ".join(f"{name} = {value}" for name, value in result.x.items()))
    print(f"loss {result.fun:.4f} after {result.nfev} evaluations")
    if len(sys.argv) > 1:
        draw(result, sys.argv[1])
