"""Beale's function by several methods, watched (and drawn to a file that is named); one stopped."""

from __future__ import annotations

import sys
from typing import Any

from matplotlib.figure import Figure

import optdriver

METHODS = ("L-BFGS-B", "SLSQP", "TNC", "Powell", "Nelder-Mead")
BOX = [(-4.5, 4.5), (-4.5, 4.5)]


def beale(x, y):
    """Lowest at (3, 0.5)."""
    return sum((c - x + x * y**k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def watched(method: str) -> tuple[Any, list[tuple[int, float]]]:
    """Minimise from one start; return the result, and the loss at every iteration."""
    seen = list[tuple[int, float]]()

    def monitor(intermediate_result):
        seen.append((intermediate_result.nit, intermediate_result.fun))

    x0 = [1.0, 1.0]
    return optdriver.minimize(beale, BOX, method, x0=x0, callback=monitor, x64=True), seen


def stopped() -> Any:
    """Stop all starts as soon as one of them is good enough."""

    def enough(intermediate_result):
        if intermediate_result.fun < 1e-3:
            raise StopIteration("below 1e-3")

    return optdriver.minimize(beale, BOX, n_iter=10, callback=enough, x64=True)


def draw(histories: dict[str, list[tuple[int, float]]], path: str) -> None:
    """Draw how the loss falls."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="iterations", ylabel="loss", yscale="log", ylim=(1e-16, 20))
    for method, history in histories.items():
        axes.plot(*zip(*history, strict=True), label=method)
    figure.legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    runs = {method: watched(method) for method in METHODS}
    for method in METHODS:
        print(f"{method:12} {runs[method][0].fun:.1e} after {runs[method][0].nfev} evaluations")
    print(stopped().message)
    if len(sys.argv) > 1:
        draw({method: history for method, (_, history) in runs.items()}, sys.argv[1])
