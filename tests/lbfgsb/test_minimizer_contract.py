"""LBFGSB keeps the contract of minimizers (with the kernel that is imported)."""

from __future__ import annotations

from optdriver.lbfgsb import LBFGSB
from tests.contracts.minimizer import MinimizerContract


class TestLBFGSB(MinimizerContract):
    def make(self, x0, bounds, **options):
        return LBFGSB(x0, bounds, **options)

    def restore(self, data):
        return LBFGSB.from_dict(data)
