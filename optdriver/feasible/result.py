"""The result that can always be shown: SciPy's formatter fails on an empty dictionary."""

from __future__ import annotations

from scipy.optimize import OptimizeResult


class FeasibleResult(OptimizeResult):
    """SciPy's result; without rows, or gradients, its multipliers are an empty dictionary."""

    def __repr__(self) -> str:
        """Return what SciPy's own would, had it been told of empty dictionaries."""
        shown = OptimizeResult()
        for key, value in self.items():
            shown[key] = "{}" if isinstance(value, dict) and not value else value
        return repr(shown)
