"""The results of a round as users hand them in: columns, a row a point, all of them or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.reading import masked_arrays, real_array, short
from optdriver.space.space import Space
from optdriver.study import observation, outputs

if TYPE_CHECKING:
    from optdriver.constraints.outputs import OutputLimits

FloatArray = NDArray[np.float64]


def round_ids(ids: Any) -> list[int]:
    """Return the ids of a round, none of them twice."""
    wanted = "whole numbers in a row, those of ask_arrays()"
    try:
        given = np.asarray(ids)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"ids are {wanted}, not {short(ids)}") from error
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputTypeError(f"ids are {wanted}, not {short(ids)}")
    listed: list[int] = given.tolist()
    if len(set(listed)) < len(listed):
        twice = next(id for id in listed if listed.count(id) > 1)
        raise InputError(f"suggestion {twice} is there twice: each id has one result")
    return listed


def round_values(values: Any, count: int) -> FloatArray:
    """Return the values of a round, NaN where one is missing, None or masked."""
    if isinstance(values, list | tuple):
        ma = masked_arrays()
        gone = (None,) if ma is None else (None, ma.masked)
        values = [math.nan if any(value is one for one in gone) else value for value in values]
    array = real_array("the values", _unmasked(values))
    if array.shape != (count,):
        raise InputError(f"the values have shape {array.shape}; expected ({count},): one an id")
    return array.copy()


def round_gradients(gradients: Any, count: int, space: Space) -> FloatArray | None:
    """Return the gradients of a round, a row a point, NaN where one is missing or masked."""
    if gradients is None:
        return None
    if isinstance(gradients, Mapping):
        for name in gradients:
            if name not in space.free:
                raise unknown_option("parameter", str(name), space.free)
        for name in space.free:
            if name not in gradients:
                raise observation.missing_derivative(name)
        columns = [round_values(gradients[name], count) for name in space.free]
        return np.array(np.array(columns).T, order="C")
    if isinstance(gradients, list | tuple):
        missing = np.full(space.size, math.nan)
        gradients = [missing if row is None else _unmasked(row) for row in gradients]
    array = real_array("the gradients", _unmasked(gradients))
    if array.shape != (count, space.size) and not array.size == count == 0:
        raise InputError(
            f"the gradients have shape {array.shape}; expected ({count}, {space.size}): a row for "
            "each id, a derivative for each continuous parameter"
        )
    return np.array(array.reshape(count, space.size), order="C")


def round_outputs(
    given: Any, numbers: FloatArray, limits: OutputLimits | None, space: Space, *, jac: bool
) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the outputs of a round, (k, p), and their derivatives, (k, p n), a row a point.

    They are given by name: an array of shape (k,) each, or with its derivatives, a pair or a dict
    of ``value`` and ``gradient``, the gradients as those of the objective.  None are wanted where
    there are no `limits` on them, or where none of the `numbers`, the values, is finite.
    """
    if limits is None:
        if given is not None:
            raise outputs.no_outputs()
        return None, None
    if given is None:
        if not np.isfinite(numbers).any():
            return None, None
        given = {}
    if not isinstance(given, Mapping):
        raise InputTypeError(
            "the outputs of a round are given by name, an array of shape (k,) each: "
            f"outputs={{'stress': stresses}}, or {{'stress': (stresses, gradients)}}, not "
            f"{short(given)}"
        )
    limits.check_names(given)
    count = len(numbers)
    values = np.empty((count, len(limits.names)))
    slopes = np.full((count, len(limits.names), space.size), math.nan)
    for i, name in enumerate(limits.names):
        column, gradients = _output_column(name, given[name])
        try:
            values[:, i] = round_values(column, count)
            made = round_gradients(gradients, count, space) if jac else None
        except InputError as error:
            raise type(error)(f"of the output {name!r}: {error}") from error
        if made is not None:
            slopes[:, i] = made
        elif jac and i < limits.used:
            raise outputs.missing_slopes(name)
    return values, slopes.reshape(count, -1) if jac else None


def _output_column(name: str, given: Any) -> tuple[Any, Any]:
    """Return the values of an output, and their derivatives as they were given or None."""
    if isinstance(given, Mapping):
        if "value" not in given or not given.keys() <= {"value", "gradient"}:
            raise InputError(
                f"the output {name!r} of a round is an array, a pair (values, gradients), or a "
                f"dict of 'value' and 'gradient', not {short(given)}"
            )
        return given["value"], given.get("gradient")
    return given if isinstance(given, tuple) and len(given) == 2 else (given, None)


def _unmasked(given: Any) -> Any:
    """Return what is given, NaN where a mask hides something."""
    ma = masked_arrays()
    if ma is None or not ma.isMaskedArray(given):
        return given
    if given.dtype.kind not in "fiu":
        raise InputTypeError(f"expected real numbers, not a masked array of {given.dtype}")
    return ma.filled(given.astype(np.float64), math.nan)
