"""Options that ask for printing, arguments by position, and mistakes in a loss."""

from __future__ import annotations

import pytest

from optdriver import Minimizer, minimize
from optdriver.errors import InputTypeError

BOX = [(0.0, 1.0), (0.0, 1.0)]


def parabola(a, b):
    return (a - 0.25) ** 2 + (b - 0.5) ** 2


@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "Nelder-Mead", "trust-constr"])
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"disp": True}, True), ({"disp": False}, False), ({"disp": 0}, False), ({"disp": 1}, True),
        ({"iprint": -1}, False), ({"iprint": 0}, True), ({"verbose": 0}, False),
        ({"verbose": 2}, True), ({"disp": None}, False), ({}, False),
    ],
)  # fmt: skip
def test_printing(method, options, shown, capsys):
    minimize(parabola, BOX, method, options=options, n_iter=2, jac="3-point")
    out = capsys.readouterr().out
    assert ("Current function value: 0.000000" in out) is shown
    assert ("Starts: 2" in out) is shown


def test_a_kept_minimisation_prints_too(tmp_path, capsys):
    minimize(parabola, BOX, options={"disp": True}, jac="3-point", storage=tmp_path / "a.db")
    assert "Current function value" in capsys.readouterr().out


def test_printing_that_is_no_number():
    with pytest.raises(InputTypeError, match="option 'disp' is a number or a truth value"):
        minimize(parabola, BOX, options={"disp": "yes"}, jac="3-point")


def test_arguments_by_position():
    seen = []
    given = "L-BFGS-B", "a + b <= 0.5", 1e-9, seen.append, {"maxiter": 50}
    made = Minimizer(parabola, BOX, *given, jac="3-point")
    result = made.minimize(1)
    assert seen
    assert [round(float(value), 4) for value in result.x] == [0.125, 0.375]


def misspelt(a, b):
    return parabola(a, c)  # noqa: F821


def missing(a, b):
    return {"x": a}["y"] + b


class Model:
    """A model without the attribute that is used."""


def attribute(a, b):
    return Model().depth * a * b


@pytest.mark.parametrize("jac", [None, "3-point"])
@pytest.mark.parametrize(
    ("loss", "kind"), [(misspelt, NameError), (missing, KeyError), (attribute, AttributeError)]
)
def test_a_mistake_in_the_loss_is_raised(loss, kind, jac):
    with pytest.raises(kind) as caught:
        minimize(loss, BOX, jac=jac, n_iter=3)
    assert caught.traceback[-1].name == loss.__name__


def test_an_exception_at_some_points_is_none():
    def loss(a, b):
        if a > 0.7:
            raise KeyError("no mesh")
        return parabola(a, b)

    result = minimize(loss, BOX, jac="3-point", n_iter=5)
    assert result.success


def test_an_exception_of_another_kind_everywhere_is_a_failure():
    def loss(a, b):
        raise ValueError("no licence")

    result = minimize(loss, BOX, jac="3-point", n_iter=3)
    assert not result.success
    assert "no licence" in result.message
