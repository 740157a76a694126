"""CMA-ES and Nevergrad's optimizers keep the contract of drivers."""

from __future__ import annotations

import numpy as np
import pytest

import optdriver
from optdriver.drivers import create_driver, driver_factory, restore_driver
from optdriver.errors import InputError, UnknownOptionError
from tests.contracts.driver import DriverContract, Session


class PopulationContract(DriverContract):
    name = "CMA-ES"
    options = {}
    steps = 100

    def make(self):
        return create_driver(self.name, self.bounds, **self.options)

    def restore(self, data):
        return restore_driver(self.name, data)


class TestCMA(PopulationContract):
    options = {"max_num_minimizers": 1, "seed": 3}
