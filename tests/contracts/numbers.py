"""What every door takes for a number, and what none does: the table of `optdriver.reading`."""

from __future__ import annotations

import decimal
import fractions

import numpy as np


class Held:
    """An array of another package: all that is known of it is how NumPy reads it."""

    def __init__(self, values, dtype=np.float32):
        self.values = np.array(values, dtype=dtype)

    def __float__(self):
        return float(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(self.values.dtype if dtype is None else dtype)


class Quantity:
    """A number with a unit, as Pint makes them."""

    magnitude, units = 2.0, "mm"

    def __array__(self, dtype=None, copy=None):
        return np.array(self.magnitude)


def values(number):
    """Ways to write a whole number, by name."""
    return {
        "float": float(number),
        "int": int(number),
        "float64": np.float64(number),
        "float32": np.float32(number),
        "float16": np.float16(number),
        "longdouble": np.longdouble(number),
        "int8": np.int8(number),
        "0-d": np.array(number, dtype=np.float32),
        "one element": np.array([[number]]),
        "list of one": [number],
        "other array": Held(number),
        "other array of one": Held([number]),
        "fraction": fractions.Fraction(number),
        "decimal": decimal.Decimal(number),
        "unmasked": np.ma.array([number]),
    }


def vectors(numbers):
    """Ways to write a vector of whole numbers, by name."""
    return {
        "list": list(map(float, numbers)),
        "ints": list(map(int, numbers)),
        "tuple": tuple(map(float, numbers)),
        "0-d parts": [np.array(number) for number in numbers],
        "other parts": [Held(number) for number in numbers],
        "float64": np.array(numbers, dtype=np.float64),
        "strided": np.repeat(np.array(numbers, dtype=np.float64), 2)[::2],
        "float32": np.array(numbers, dtype=np.float32),
        "int64": np.array(numbers, dtype=np.int64),
        "object": np.array([fractions.Fraction(int(number)) for number in numbers], dtype=object),
        "decimals": [decimal.Decimal(int(number)) for number in numbers],
        "other array": Held(numbers),
        "unmasked": np.ma.array(numbers),
    }


def no_values():
    """What is not one real number, by name; None has a meaning of its own in a study."""
    return {
        "text": "1",
        "bytes": b"1",
        "text in an array": np.array("1"),
        "truth value": True,
        "NumPy's truth value": np.True_,
        "complex": 1j,
        "complex without imaginary part": np.complex128(1.0),
        "complex array": np.array([1 + 0j]),
        "complex object": np.array(1j, dtype=object),
        "masked": np.ma.masked,
        "masked array": np.ma.array([1.0], mask=[True]),
        "two numbers": np.ones(2),
        "nothing": np.empty(0),
        "date": np.datetime64("2020-01-01"),
        "duration": np.timedelta64(3, "s"),
        "quantity": Quantity(),
        "object": object(),
        "set": {1.0},
        "too large": 10**400,
    }


def no_vectors(n):
    """What is no vector of n real numbers, by name."""
    ones = np.ones(n)
    return {
        "one too few": np.ones(n - 1),
        "column": np.ones((n, 1)),
        "row": np.ones((1, n)),
        "texts": ["1"] * n,
        "array of texts": np.array(["1"] * n),
        "text among numbers": [1.0] * (n - 1) + ["1"],
        "truth values": ones > 0,
        "truth value among objects": np.array([True] + [1.0] * (n - 1), dtype=object),
        "complex": ones + 0j,
        "complex among objects": np.array([1j] + [1.0] * (n - 1), dtype=object),
        "None": [None] * n,
        "masked": np.ma.array(ones, mask=[True] + [False] * (n - 1)),
        "masked part": [np.ma.masked] + [1.0] * (n - 1),
        "dates": np.full(n, np.datetime64("2020-01-01")),
        "ragged": [[1.0, 2.0]] + [1.0] * (n - 1),
        "object": object(),
        "too large": [10**400] * n,
    }
