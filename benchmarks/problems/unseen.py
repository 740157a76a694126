"""Problems on which nothing of this package was tuned: fits of random data, and functions of CUTE.

`problems` draws one of each kind for a seed.  They are no part of `all_problems`: thresholds are
chosen on those, and are to be judged by these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .problem import Problem, Vector

CUTE = "Bongartz, Conn, Gould, Toint, ACM TOMS 21 (1995) 123"
STEP = 1e-100
"""Of the complex step, whose derivatives are exact to rounding."""

Value = Callable[[Vector], complex]


def with_gradient(value: Value) -> Callable[[Vector], tuple[float, Vector]]:
    """Return value and gradient of what takes complex numbers."""

    def fun(x: Vector) -> tuple[float, Vector]:
        z = np.asarray(x, dtype=complex)
        g = np.empty(z.size)
        for i in range(z.size):
            moved = z.copy()
            moved[i] += STEP * 1j
            g[i] = np.imag(value(moved)) / STEP
        return float(np.real(value(z))), g

    return fun


# -- fits of random data --------------------------------------------------------------------------


def decay(x: Vector, t: Vector) -> Vector:
    """Return an exponential decay to a level."""
    return x[0] * np.exp(-x[1] * t) + x[2]


def two_decays(x: Vector, t: Vector) -> Vector:
    """Return two exponential decays."""
    return x[0] * np.exp(-x[1] * t) + x[2] * np.exp(-x[3] * t)


def saturation(x: Vector, t: Vector) -> Vector:
    """Return Michaelis and Menten's law."""
    return x[0] * t / (x[1] + t)


def growth(x: Vector, t: Vector) -> Vector:
    """Return logistic growth."""
    return x[0] / (1.0 + x[1] * np.exp(-x[2] * t))


def peak(x: Vector, t: Vector) -> Vector:
    """Return a Lorentzian peak on a slope."""
    return x[0] / (1.0 + ((t - x[1]) / x[2]) ** 2) + x[3] * t


def power(x: Vector, t: Vector) -> Vector:
    """Return a power of the time since a moment before it began."""
    return x[0] * (t + x[1] ** 2 + 0.01) ** x[2]


MODELS: dict[str, tuple[Callable[[Vector, Vector], Vector], tuple[float, ...]]] = {
    "decay": (decay, (5.0, 0.8, 1.0)),
    "two decays": (two_decays, (3.0, 0.3, 6.0, 2.5)),
    "saturation": (saturation, (4.0, 2.0)),
    "growth": (growth, (10.0, 20.0, 1.5)),
    "peak": (peak, (8.0, 3.0, 0.7, 0.4)),
    "power": (power, (2.0, 1.0, 1.3)),
}
"""Models, and the parameters near which the data are drawn."""


def fit(name: str, generator: np.random.Generator, relaxed: float) -> Problem:
    """Return a least-squares fit of noisy data, from a start that is wrong by up to `relaxed`.

    Each parameter is within `relaxed` times the true one.
    """
    model, typical = MODELS[name]
    truth = np.array(typical) * np.exp(generator.uniform(-0.5, 0.5, len(typical)))
    t = np.linspace(0.1, 6.0, int(generator.integers(12, 30)))
    exact = model(truth, t)
    size = float(np.max(np.abs(exact)))
    data = exact + size * 10.0 ** generator.uniform(-4, -1) * generator.standard_normal(t.size)
    off = np.exp(generator.uniform(-1, 1, truth.size) * np.log(relaxed))

    def value(x: Vector) -> complex:
        r = model(x, t) - data
        return complex(np.sum(r * r))

    return Problem(
        name=f"fit, {name}, {relaxed:g}",
        fun=with_gradient(value),
        x0=truth * off,
        lower=truth / relaxed,
        upper=truth * relaxed,
        source="random data",
    )


# -- functions of CUTE ----------------------------------------------------------------------------


def cube(x: Vector) -> complex:
    """CUBE."""
    return complex((x[0] - 1.0) ** 2 + 100.0 * (x[1] - x[0] ** 3) ** 2)


def sineval(x: Vector) -> complex:
    """SINEVAL, with a weight of 1e4."""
    return complex(1e4 * (x[1] - np.sin(x[0])) ** 2 + 0.25 * x[0] ** 2)


def cliff(x: Vector) -> complex:
    """CLIFF."""
    return complex((0.01 * x[0] - 0.03) ** 2 - x[0] + x[1] + np.exp(20.0 * (x[0] - x[1])))


def brkmcc(x: Vector) -> complex:
    """BRKMCC."""
    inside = 1.0 - 0.25 * x[0] ** 2 - x[1] ** 2
    return complex(
        (x[0] - 2.0) ** 2 + (x[1] - 1.0) ** 2 + 0.04 / inside + 5.0 * (x[0] - 2.0 * x[1] + 1.0) ** 2
    )


def denschnb(x: Vector) -> complex:
    """DENSCHNB."""
    return complex(
        (x[0] - 2.0) ** 2 + ((x[0] - 2.0) * x[1]) ** 2 + (x[1] + 1.0) ** 2,
    )


def denschnd(x: Vector) -> complex:
    """DENSCHND."""
    a = x[0] ** 2 + x[1] ** 3 - x[2] ** 4
    b = 2.0 * x[0] * x[1] * x[2]
    c = 2.0 * x[0] * x[1] - 3.0 * x[1] * x[2] + x[0] * x[2]
    return complex(a * a + b * b + c * c)


def denschne(x: Vector) -> complex:
    """DENSCHNE."""
    return complex(x[0] ** 2 + (x[1] + x[1] ** 2) ** 2 + (np.exp(x[2]) - 1.0) ** 2)


def engval2(x: Vector) -> complex:
    """ENGVAL2."""
    square = x[0] ** 2 + x[1] ** 2
    r = (
        square + x[2] ** 2 - 1.0,
        square + (x[2] - 2.0) ** 2 - 1.0,
        x[0] + x[1] + x[2] - 1.0,
        x[0] + x[1] - x[2] + 1.0,
        x[0] ** 3 + 3.0 * x[1] ** 2 + (5.0 * x[2] - x[0] + 1.0) ** 2 - 36.0,
    )
    return complex(sum(a * a for a in r))


def sisser(x: Vector) -> complex:
    """SISSER."""
    return complex(3.0 * x[0] ** 4 - 2.0 * (x[0] * x[1]) ** 2 + 3.0 * x[1] ** 4)


def maratos(x: Vector) -> complex:
    """MARATOSB with a penalty of 1e3."""
    return complex(x[0] + 1e3 * (x[0] ** 2 + x[1] ** 2 - 1.0) ** 2)


def hilbert(x: Vector) -> complex:
    """HILBERTB."""
    i = np.arange(1, x.size + 1)
    matrix = 1.0 / (i[:, None] + i - 1.0) + 5.0 * np.eye(x.size)
    return complex(0.5 * x @ (matrix @ x))


def dixon_price(x: Vector) -> complex:
    """DIXON and Price's chain."""
    i = np.arange(2, x.size + 1)
    return complex((x[0] - 1.0) ** 2 + np.sum(i * (2.0 * x[1:] ** 2 - x[:-1]) ** 2))


def bdqrtic(x: Vector) -> complex:
    """BDQRTIC."""
    a = 3.0 - 4.0 * x[:-4]
    b = x[:-4] ** 2 + 2 * x[1:-3] ** 2 + 3 * x[2:-2] ** 2 + 4 * x[3:-1] ** 2 + 5 * x[-1] ** 2
    return complex(np.sum(a * a) + np.sum(b * b))


FUNCTIONS: tuple[tuple[Value, tuple[float, ...]], ...] = (
    (cube, (-1.2, 1.0)),
    (sineval, (4.712389, -1.0)),
    (cliff, (0.0, -1.0)),
    (brkmcc, (0.5, 0.3)),
    (denschnb, (10.0, 5.0)),
    (denschnd, (10.0, 10.0, 10.0)),
    (denschne, (2.0, 3.0, -2.0)),
    (engval2, (1.0, 2.0, 0.0)),
    (sisser, (1.0, 0.1)),
    (maratos, (1.1, 0.1)),
    (hilbert, (-3.0,) * 6),
    (dixon_price, (2.0,) * 6),
    (bdqrtic, (1.0,) * 8),
)
"""Functions and their starts."""


def of_cute(value: Value, start: tuple[float, ...]) -> Problem:
    """Return a function of CUTE."""
    return Problem(
        name=str(value.__doc__).split(".")[0].split(",")[0].split(" ")[0],
        fun=with_gradient(value),
        x0=np.array(start),
        source=CUTE,
    )


def problems(seed: int = 0) -> list[Problem]:
    """Return the functions, and two fits by each model: the second relaxed tenfold."""
    generator = np.random.default_rng([seed, 20])
    fits = [fit(name, generator, relaxed) for name in MODELS for relaxed in (2.0, 10.0)]
    return [of_cute(*given) for given in FUNCTIONS] + fits
