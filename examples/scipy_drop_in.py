"""Use the minimizer through `scipy.optimize.minimize`, beside SciPy's own."""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult, minimize, rosen, rosen_der

import optdriver


def main() -> tuple[OptimizeResult, OptimizeResult]:
    """Return the results of SciPy's method and of ours for the same call."""
    x0 = np.full(25, -1.0)
    call = {"jac": rosen_der, "bounds": [(-1.5, 0.8)] * 25, "options": {"maxcor": 8}}
    theirs = minimize(rosen, x0, method="L-BFGS-B", **call)
    ours = minimize(rosen, x0, method=optdriver.scipy_method, **call)
    return theirs, ours


if __name__ == "__main__":
    for who, result in zip(("SciPy", "optdriver"), main(), strict=True):
        print(f"{who:10} f = {result.fun:.12f}  {result.nfev} evaluations  {result.message}")
