"""What an objective puts out beside its value: read as it is told, and made rows for the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.geometry.products import row_lengths
from optdriver.reading import real_number, short
from optdriver.study import observation
from optdriver.study.observation import Where
from optdriver.study.spec import Spec

if TYPE_CHECKING:
    from optdriver.constraints.outputs import OutputLimits

FloatArray = NDArray[np.float64]


class Put(NamedTuple):
    """Outputs in their order, (k,), and their derivatives, (k, n), or None.

    NaN stands for derivatives of outputs without a limit that were not told.
    """

    values: FloatArray
    slopes: FloatArray | None


def read(given: Any, limits: OutputLimits, where: Where, *, jac: bool) -> Put:
    """Return outputs that were told by name.

    Parameters
    ----------
    given : mapping
        ``{name: value}``, ``{name: (value, gradient)}``, or
        ``{name: {"value": value, "gradient": gradient}}``; gradients are as that of the objective.
    limits : OutputLimits
    where : Where
        Where derivatives belong.
    jac : bool
        Whether derivatives are used.

    Raises
    ------
    InputError
        Something is missing, unknown, or of the wrong kind.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InputTypeError(
            "outputs are told by name, {'stress': 3.0} or {'stress': (3.0, gradient)}, not "
            f"{short(given)}"
        )
    limits.check_names(given)
    pairs = [_pair(name, given[name]) for name in limits.names]
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    if not jac:
        return Put(values, None)
    slopes = np.full((len(pairs), where.space.size), np.nan)
    for k, (name, (_, gradient)) in enumerate(zip(limits.names, pairs, strict=True)):
        if gradient is not None:
            slopes[k] = _gradient(name, gradient, where)
        elif k < limits.used:
            raise missing_slopes(name)
    return Put(values, slopes)


def missing_slopes(name: str) -> InputError:
    """Build the error for derivatives that ``jac=True`` promises and that are not there."""
    return InputError(
        f"the derivatives of the output {name!r} are missing: jac=True says that the "
        f"objective supplies them, as outputs={{{name!r}: (value, gradient)}}; add them, "
        "or set jac=False for finite differences"
    )


def no_outputs() -> InputError:
    """Build the error for outputs that are told to a study that has none."""
    return InputError(
        "outputs were told, and this study has none: create_study(..., outputs={'stress': '<= "
        "250'}) declares them, with their limits"
    )


def have_slopes(given: Any) -> bool:
    """Return whether outputs were told with derivatives, one of them at least."""
    pairs = given.values() if isinstance(given, Mapping) else ()
    return any(
        isinstance(each, tuple | list) or (isinstance(each, Mapping) and "gradient" in each)
        for each in pairs
    )


def _pair(name: str, given: Any) -> tuple[float, Any]:
    """Return the value of an output, and its gradient as it was given or None."""
    gradient = None
    if isinstance(given, Mapping):
        if "value" not in given or not given.keys() <= {"value", "gradient"}:
            raise InputError(
                f"the output {name!r} is a number, a pair (value, gradient), or a dict of 'value' "
                f"and 'gradient', not {short(given)}"
            )
        given, gradient = given["value"], given.get("gradient")
    elif isinstance(given, tuple | list):
        if len(given) != 2 or np.ndim(given[0]) > 0:
            raise InputError(
                f"the output {name!r} is one number, or a pair (value, gradient), not "
                f"{short(given)}: give each number a name of its own"
            )
        given, gradient = given
    if given is None:
        return np.nan, gradient
    return real_number(f"the output {name!r}", given), gradient


def _gradient(name: str, given: Any, where: Where) -> FloatArray:
    try:
        return observation.as_gradient(given, where.space, where.x)
    except InputError as error:
        raise type(error)(f"of the output {name!r}: {error}") from error


def why_unusable(put: Put, limits: OutputLimits, x: FloatArray, names: Any) -> str | None:
    """Return what is not finite about outputs, and limits on them, at x; None if they can be used.

    `names` are those of the continuous parameters.
    """
    used = limits.used
    bad = np.flatnonzero(~np.isfinite(put.values[:used]))
    if bad.size:
        return f"the output {limits.names[bad[0]]!r} is {put.values[bad[0]]}"
    rows = limits.values(x, put.values)
    bad = np.flatnonzero(~np.isfinite(rows))
    if bad.size:
        return f"the limit {limits.rows[bad[0]]!r} has no value there: it is {rows[bad[0]]}"
    if put.slopes is None:
        return None
    for k, i in np.argwhere(~np.isfinite(put.slopes[:used])).tolist():
        return f"the derivative of the output {limits.names[k]!r} by {names[i]!r} is " + str(
            put.slopes[k, i]
        )
    bad = np.flatnonzero(~np.isfinite(limits.jacobian(x, put.values, put.slopes)).all(axis=1))
    return f"the limit {limits.rows[bad[0]]!r} has no derivatives there" if bad.size else None


def weights(put: Put) -> FloatArray | None:
    """Return what value and rows count in a sum in which their slopes are alike; None without."""
    if put.slopes is None:
        return None
    with np.errstate(all="ignore"):
        lengths = row_lengths(put.slopes)
        made = (lengths[0] or 1.0) / lengths
    return np.where(np.isfinite(made) & (made > 0.0), made, 1.0)


def for_driver(
    spec: Spec,
    x: FloatArray,
    value: float,
    gradient: FloatArray | None,
    outputs: FloatArray | None,
    slopes: FloatArray | None,
) -> Put | None:
    """Return value and rows as the driver is told them; None where no limit is on outputs.

    Parameters
    ----------
    spec : Spec
    x : ndarray, shape (n,)
        The user's parameters.
    value, gradient
        As they were told.
    outputs, slopes : ndarray, shapes (k,) and (k * n,)
        As they are recorded.

    Raises
    ------
    ProtocolError
        They are those of another study.
    """
    limits, n = spec.limits, spec.space.size
    if limits is None or not len(limits):
        return None
    k = len(limits.names)
    if outputs is None or outputs.size != k or (slopes is not None and slopes.size != k * n):
        raise ProtocolError(f"the events do not fit this study: it has {k} outputs")
    values = np.concatenate([[spec.sign * value], limits.values(x, outputs)])
    if gradient is None or slopes is None:
        return Put(values, None)
    rows = limits.jacobian(x, outputs, slopes.reshape(k, n))
    jacobian = np.vstack([spec.sign * gradient, rows])
    return Put(values, spec.space.gradient_to_driver(jacobian, x))
