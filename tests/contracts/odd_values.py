"""Values that are wrong nearly everywhere, for arguments of everything that is public."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np


class Stubborn:
    """What NumPy cannot make an array of."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("this has no array")


ODD: dict[str, Any] = {
    "None": None, "text": "x", "no text": "", "digits": "1e5", "bytes": b"x",
    "nan": math.nan, "inf": math.inf, "minus inf": -math.inf, "minus one": -1, "zero": 0,
    "huge": 1e308, "huge integer": 2**70, "huge negative integer": -(2**70), "complex": 1j,
    "True": True, "False": False, "float32": np.float32(2.0), "fraction": Fraction(1, 3),
    "no list": [], "list of None": [None], "list of texts": ["a"], "list of lists": [[1, 2, 3]],
    "ragged": [[1], [2, 3]], "list": [1, 2], "tuple": (0, 1), "no tuple": (), "range": range(3),
    "no dict": {}, "dict": {"x": 1}, "dict of None": {"a": None}, "dict of pairs": {"a": (1, 0)},
    "no array": np.array([]), "array of texts": np.array(["a"]), "vector": np.array([1, 2, 3]),
    "matrix": np.zeros((2, 2)), "masked": np.ma.masked, "object": object(),
    "function": lambda *_: 1, "stubborn": Stubborn(),
}  # fmt: skip
