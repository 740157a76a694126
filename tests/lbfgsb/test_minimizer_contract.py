"""LBFGSB keeps the contract of minimizers, on either kernel."""

from __future__ import annotations

import pytest

from tests.contracts.minimizer import MinimizerContract
from tests.lbfgsb.kernels import imported, interpreted


class TestImported(MinimizerContract):
    kernel = imported

    @pytest.fixture(autouse=True)
    def installed(self):
        with self.kernel.installed():
            yield

    def make(self, x0, bounds, **options):
        return self.kernel.LBFGSB(x0, bounds, **options)

    def restore(self, data):
        return self.kernel.LBFGSB.from_dict(data)


class TestInterpreted(TestImported):
    kernel = interpreted
