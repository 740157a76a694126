"""Standard deviations that are told with what was observed: read, and used as weights of residuals.

That of a value says how exact it is; the driver is told it, see `optdriver.multistart`.  Those of
residuals are the errors of the data, and so the same at every point: each residual counts in units
of its own, ``r / sigma``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.reading import real_array, real_number, short

FloatArray = NDArray[np.float64]


def of_value(given: Any, what: str = "the uncertainty") -> FloatArray | None:
    """Return the standard deviation of a value, shape (1,), None where none was told.

    Raises
    ------
    InputError
        It is no number from 0 on.
    """
    if given is None:
        return None
    number = real_number(what, given)
    if not 0.0 <= number < math.inf:
        raise InputError(
            f"{what} is {number}; expected the standard deviation of the value, a finite number "
            "from 0 on, or None where it is not known"
        )
    return np.array([number])


def of_values(given: Any, count: int) -> FloatArray | None:
    """Return the standard deviations of `count` values, NaN where none was told; None for None.

    One number stands for all.

    Raises
    ------
    InputError
        They are no numbers from 0 on, or not as many as values.
    """
    if given is None:
        return None
    if isinstance(given, list | tuple):
        given = [math.nan if each is None else each for each in given]
    array = real_array("the uncertainty", given)
    if array.shape not in ((), (count,)):
        raise InputError(
            f"the uncertainty has shape {array.shape}; expected ({count},): one standard deviation "
            "a value, or one number for all"
        )
    wrong = (array < 0.0) | np.isinf(array)
    if wrong.any():
        raise InputError(
            f"an uncertainty is {array[wrong][0]}; expected standard deviations, finite numbers "
            "from 0 on (None or NaN where one is not known)"
        )
    return None if not count else np.array(np.broadcast_to(array, (count,)))


def of_residuals(
    given: Any, m: int, before: FloatArray | None, *, first: bool
) -> FloatArray | None:
    """Return the standard deviations of `m` residuals, shape (1,) or (m,); None without any.

    `before` are those that were told before; `first` says that nothing was told before.

    Raises
    ------
    InputError
        They are no numbers above 0, not as many as residuals, or others than before.
    """
    if given is None:
        if before is not None:
            raise InputError(
                "the residuals before were told with an uncertainty, and these are not: tell the "
                "standard deviations of the data with all of them, or with none"
            )
        return None
    made = _read(given, m)
    if before is None and not first:
        raise InputError(
            "these residuals are told with an uncertainty, and those before were not: tell the "
            "standard deviations of the data with all of them, or with none"
        )
    if before is not None and not np.array_equal(np.broadcast_to(made, (m,)), _spread(before, m)):
        raise InputError(
            f"the uncertainty of the residuals is {short(made)}, and was {short(before)} before: "
            "weights are the standard deviations of the data, the same at every point; where they "
            "depend on the parameters, divide in the objective, and leave uncertainty out"
        )
    return made if before is None else before


def _read(given: Any, m: int) -> FloatArray:
    array = real_array("the uncertainty", given)
    if array.shape not in ((), (1,), (m,)):
        raise InputError(
            f"the uncertainty has shape {array.shape}; expected ({m},), a standard deviation for "
            "each residual, or one number"
        )
    return of_data(array)


def of_data(given: Any) -> FloatArray:
    """Return standard deviations of data in a row.

    Raises
    ------
    InputError
        There are none, or one is no finite number above 0.
    """
    made = np.array(real_array("the uncertainty", given)).reshape(-1)
    if not made.size:
        raise InputError(
            "the uncertainty is empty; expected standard deviations, one or one for each"
        )
    wrong = np.flatnonzero(~((made > 0.0) & np.isfinite(made)))
    if wrong.size:
        which = "" if made.size == 1 else f" of residual {wrong[0]}"
        raise InputError(
            f"the uncertainty{which} is {made[wrong[0]]}; expected standard deviations, finite "
            "numbers above 0: residuals are divided by them"
        )
    return made


def _spread(known: FloatArray, m: int) -> FloatArray:
    if known.size not in (1, m):
        raise InputError(f"the residuals before had {known.size} standard deviations, and not {m}")
    return np.broadcast_to(known, (m,))


def weighted(
    residuals: FloatArray, jacobian: FloatArray | None, sigma: FloatArray | None
) -> tuple[FloatArray, FloatArray | None]:
    """Return residuals, (m,), and their Jacobian, (m, n), in units of standard deviations.

    Raises
    ------
    ProtocolError
        There are not as many of these as residuals.
    """
    if sigma is None:
        return residuals, jacobian
    if sigma.size not in (1, residuals.size) or not (sigma > 0.0).all():
        raise ProtocolError(
            f"the events do not fit this study: {sigma.size} standard deviations for "
            f"{residuals.size} residuals"
        )
    with np.errstate(over="ignore"):
        rows = None if jacobian is None else jacobian / sigma.reshape(-1, 1)
        return residuals / sigma, rows


def single(told: FloatArray | None) -> float:
    """Return the standard deviation of a value as it was recorded, 0 where there is none."""
    if told is None or not told.size or math.isnan(told[0]):
        return 0.0
    return float(told[0])


def refuse_beside(given: Any) -> None:
    """Refuse an uncertainty beside an observation, which has its own."""
    if given is not None:
        raise InputTypeError("an Observation has an uncertainty of its own: give none beside it")
