"""The work that a text costs grows with its length: counted in calls of functions, not in time."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from optdriver.constraints import ConstraintSet
from optdriver.constraints import assembly as assembly_module
from optdriver.constraints.assembly import Assembly
from optdriver.errors import ConstraintError
from optdriver.formulas.parser import parse

NAMES = ["x", "y", "z"]
BOX = [(0.1, 2.0)] * 3


def nested(levels: int, level: Callable[[str], str], text: str = "x") -> str:
    for _ in range(levels):
        text = level(text)
    return text


def other_form(k: int) -> str:
    inner = nested(k // 5 % 9, lambda t: f"sqrt({t} + {k})", "z")
    return nested(k % 5, lambda t: f"sin({t})", inner)


FAMILIES: dict[str, Callable[[int], str]] = {
    "Horner": lambda n: nested(n, lambda t: f"({t}*y + z)"),
    "roots of squares": lambda n: nested(n // 2, lambda t: f"sqrt(({t})^2 + y)"),
    "fractions": lambda n: nested(n, lambda t: f"(y + z/{t})"),
    "tangents": lambda n: nested(n, lambda t: f"tan({t})", "x*y"),
    "powers of powers": lambda n: nested(n, lambda t: f"({t} + y)^z"),
    "tower of powers": lambda n: "x" + "^y" * n,
    "kinks in kinks": lambda n: nested(n // 2, lambda t: f"max(min({t}, y)*z, x)"),
    "absolute values": lambda n: nested(n, lambda t: f"abs({t} - y)"),
    "maximum of sines": lambda n: f"max({', '.join(f'sin({k}*x + y)' for k in range(5 * n))})",
    "product": lambda n: "*".join(f"(x + {k}*sin(y))" for k in range(1, 3 * n)),
    "quotient": lambda n: "/".join(["x", *(f"(y + {k})" for k in range(5 * n))]),
    "sum of powers": lambda n: " + ".join(f"(x + y/{k})^{k}" for k in range(1, 3 * n)),
    "products of powers": lambda n: " + ".join(f"x^{k}*y^{9 * n - k}" for k in range(1, 3 * n)),
    "other forms": lambda n: " + ".join(other_form(k) for k in range(3 * n)),
}


def calls(action: Callable[[], Any]) -> int:
    """Return how many Python functions are called by `action`."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def made(text: str) -> ConstraintSet | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ConstraintSet([text], NAMES, BOX)
        except ConstraintError:
            return None


@pytest.mark.parametrize("family", FAMILIES)
def test_twice_the_text_is_about_twice_the_work(family: str) -> None:
    short, long = (f"{FAMILIES[family](n)} <= 1e300" for n in (20, 40))
    assert made(short) is not None  # templates that both have are made then
    assert made(long) is not None
    counted = [calls(lambda text=text: made(text)) for text in (short, long)]  # type: ignore[misc]
    ratio = len(long) / len(short)
    assert counted[1] <= 2.0 * ratio * counted[0] + 10_000


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_differentiated_is_bounded(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = assembly_module.template

    def watched(key: Any) -> Any:
        seen.append(key)
        return real(key)

    monkeypatch.setattr(assembly_module, "template", watched)
    assert made(f"{FAMILIES[family](40)} <= 1e300") is not None
    assert len(set(seen)) <= 60


def test_chains_of_copies_are_compared_with_few() -> None:
    for text in ("<=".join(["x", "y"] * 500), "<=".join(f"{k}*x <= {k}*y" for k in range(1, 300))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counted = calls(lambda text=text: made(text))  # type: ignore[misc]
        assert counted <= 200 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        "x*y/z + sin(x*y)^3 - 2*z^0.5",
        "(x + 2*y)^7*exp(-z) + x^y",
        "max(x*y, z^2)*abs(x - 3) + atan2(x, y*z)",
        "x*y*z*x*sin(x)*cos(y)/(1 + z^2)/y + hypot(x - y, 2)",
        "log10(x)*log2(y)/3^z + sqrt((x - 5)^2 + 1)",
        "1/(x*y) + 2/z - (x - y*z)^-2",
    ],
)
def test_single_steps_have_the_same_derivatives(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    formulas = list(parse(text, NAMES).operands)
    whole = Assembly(formulas, NAMES)
    monkeypatch.setattr(assembly_module, "MAX_WORK", 0)
    steps = Assembly(formulas, NAMES)
    assert steps.k > whole.k
    for x in np.random.default_rng(3).uniform(0.1, 2.0, (5, 3)):
        np.testing.assert_allclose(steps.jacobian(x), whole.jacobian(x), rtol=1e-12, atol=1e-13)
        one = np.ones(1)
        expected = whole.hessian(x, one)
        np.testing.assert_allclose(steps.hessian(x, one), expected, rtol=1e-11, atol=1e-11)


def test_other_units_compile_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["x^2 + y*z <= 3", "x - y == 0.25", "z <= 1.5"]
    constraints = ConstraintSet(texts, NAMES, BOX)
    units = np.array([0.5, 4.0, 2.0])
    made_again = ConstraintSet.from_dict(constraints.to_dict() | {"units": units.tolist()})
    monkeypatch.delattr(assembly_module.Assembly, "__init__")
    other = constraints.rescaled(units)
    for name in ("lower", "upper", "scales", "noise", "convex"):
        np.testing.assert_array_equal(getattr(other, name), getattr(made_again, name))
    x = np.array([0.5, 0.125, 0.25])
    np.testing.assert_array_equal(other.values(x), made_again.values(x))
    np.testing.assert_array_equal(other.jacobian(x), made_again.jacobian(x))
    assert other.to_dict() == made_again.to_dict()
    assert constraints.upper.tolist() == [2.0, 2.0, 1.5]
