"""Quantities of three libraries, by what they look like."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pint
import pytest
import saiunit as u

import optdriver
from optdriver.errors import InputError
from optdriver.space.units import is_quantity, number_in, number_of, unit_of

REGISTRY = pint.get_application_registry()  # read from its file where it is first used


def of_saiunit(number, unit):
    return number * getattr(u, unit)


def of_pint(number, unit):
    return REGISTRY.Quantity(number, unit)


@pytest.mark.parametrize("quantity", [of_saiunit, of_pint])
def test_a_quantity_has_a_number_in_a_unit(quantity):
    value, unit = quantity(2.0, "volt"), unit_of(quantity(1.0, "mV"))
    assert number_in(value, unit, "it") == pytest.approx(2000.0)
    assert number_of(unit.attach(3.0)) == 3.0
    assert number_of((unit / unit_of(value)).attach(1.0)) == 1.0
    again = number_in(unit.attach(np.ones(2)), unit, "it")
    np.testing.assert_array_equal(again, [1, 1])


def test_numbers_are_no_quantities():
    for value in (1, 1.0, np.ones(2), jnp.ones(2), None, "mV", u.Quantity):
        assert not is_quantity(value)
        assert unit_of(value) is None


def test_what_has_no_dimension_is_a_number():
    assert unit_of(u.Quantity(3.0)) is None
    assert number_in(u.Quantity(3.0), None, "it") == 3.0


@pytest.mark.parametrize("wrong", [1.0, 2.0 * u.second])
def test_another_unit_is_refused(wrong):
    with pytest.raises(InputError, match="it is .*mV"):
        number_in(wrong, unit_of(1.0 * u.mV), "it")
    with pytest.raises(InputError, match="no unit"):
        number_in(1 * u.mV, None, "it")


def membrane(resistance, capacity):
    """How far the steady state and the time constant are from -50 mV and 20 ms, without unit."""
    steady = -70 * u.mV + resistance * (200 * u.pA)
    slow = resistance * capacity
    return ((steady + 50 * u.mV) / (10 * u.mV)) ** 2 + ((slow - 20 * u.ms) / (10 * u.ms)) ** 2


BOX = {
    "resistance": (0.01 * u.Gohm, 500.0 * u.Mohm),
    "capacity": (50.0 * u.pF, 0.5 * u.nF),
}


def test_a_loss_computes_with_units_and_the_result_has_them():
    res = optdriver.minimize(membrane, BOX, n_iter=2, x64=True)
    assert res.success
    assert list(res.x) == ["resistance", "capacity"]
    assert res.x["resistance"].unit == u.Gohm
    assert float(res.x["resistance"] / u.Mohm) == pytest.approx(100, rel=1e-4)
    assert float(res.x["capacity"] / u.pF) == pytest.approx(200, rel=1e-4)
    assert not is_quantity(res.fun)


def test_a_loss_gets_plain_numbers_if_it_wants_them():
    def plain(resistance, capacity):  # in Gohm and pF
        return (resistance - 0.1) ** 2 + (capacity / 100 - 2) ** 2

    res = optdriver.minimize(plain, BOX, n_iter=2, units=False, x64=True)
    assert not any(
        map(is_quantity, (*res.x.values(), *res.jac.values(), *res.starts[0].x.values()))
    )
    assert float(res.x["resistance"]) == pytest.approx(0.1, rel=1e-3)
    assert float(res.x["capacity"]) == pytest.approx(200, rel=1e-4)


def test_a_loss_that_wanted_plain_numbers_hears_of_the_switch():
    with pytest.raises(u.UnitMismatchError) as raised:
        optdriver.minimize(lambda v: (v - 3) ** 2, [(0 * u.mV, 9 * u.mV)], n_iter=1, x64=True)
    assert any("units=False" in note for note in raised.value.__notes__)


def test_the_value_and_the_gradient_of_a_loss_have_units():
    res = optdriver.minimize(
        lambda v: (v - 3 * u.mV) ** 2 + 2 * u.mV**2, [(0 * u.mV, 1 * u.mV)], n_iter=1, x64=True
    )
    assert float(res.fun / u.mV**2) == pytest.approx(6)
    assert float(res.jac[0] / u.mV) == pytest.approx(-4)
    assert res.starts[0].fun.unit == res.fun.unit


def test_pint_goes_through_jax_and_without_it():
    def loss(length):
        return ((length - REGISTRY.Quantity(30, "cm")) ** 2).to("m^2")

    bounds = {"length": (REGISTRY.Quantity(0.0, "m"), REGISTRY.Quantity(50.0, "cm"))}
    for jac in (None, "3-point"):
        res = optdriver.minimize(loss, bounds, n_iter=1, x64=True, jac=jac, tol=1e-10)
        assert res.x["length"].to("cm").magnitude == pytest.approx(30, abs=1e-3)
        assert str(res.fun.units) == "meter ** 2"


def test_starts_and_constraints_go_by_the_units_of_the_bounds():
    bounds = {"v": (-1.0 * u.volt, 1.0 * u.volt), "w": (-1.0 * u.volt, 1.0 * u.volt)}
    res = optdriver.minimize(
        lambda v, w: ((v - 1 * u.volt) ** 2 + (w - 1 * u.volt) ** 2) / u.volt**2,
        bounds,
        x0={"v": 100.0 * u.mV, "w": 0.0 * u.mV},
        constraints=[lambda v, w: (v + w - 1 * u.volt) / u.mV],
        x64=True,
    )
    assert float(res.starts[0].x0["v"] / u.mV) == pytest.approx(100)
    assert float(res.x["v"] / u.volt) == pytest.approx(0.5, abs=1e-6)


def test_units_that_do_not_fit_are_refused_where_they_are():
    with pytest.raises(InputError, match=r"bounds at \['v'\]"):
        optdriver.minimize(lambda v: v, {"v": (0 * u.mV, 1 * u.second)})
    with pytest.raises(InputError, match="without a unit"):
        optdriver.minimize(lambda v: v, {"v": (0 * u.mV, 1.0)})
    with pytest.raises(InputError, match="x0"):
        optdriver.minimize(lambda v: v / u.mV, {"v": (0 * u.mV, 1 * u.mV)}, x0={"v": 0.5})


def test_a_quantity_is_traced_like_a_number():
    unit = unit_of(1 * u.mV)
    made = jax.jit(lambda x: number_of(unit.attach(x) * 2))(3.0)
    assert float(made) == 6
