"""What a profile is asked for: which parameters, how far the value rises, and the first steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optdriver.errors import InputError, unknown_option
from optdriver.study import uncertainty
from optdriver.study.events import Profiled
from optdriver.study.uncertainty import Uncertainty, checked_level

if TYPE_CHECKING:
    from optdriver.study.desk import Desk


def begin(
    desk: Desk,
    names: Sequence[str] | None,
    level: float,
    minimum: int,
    absolute_sigma: bool | None,
) -> None:
    """Begin a profile, unless it is under way or was made last.

    Raises
    ------
    ProtocolError, InputError
        There is no such minimum, or no fit with a linear loss.
    """
    given = desk.parameters
    if not desk.fits or given["loss"] != "linear":
        raise InputError("a profile is that of a fit: driver='least-squares', loss='linear'")
    compiled = desk.spec.compiled
    if compiled is not None and compiled.n_equalities and not given["jac"]:
        raise InputError(
            "a profile under equalities needs Jacobians (jac=True): differences of one "
            "parameter at a time would leave their surface"
        )
    state = desk.state
    absolute = uncertainty.is_absolute(state, absolute_sigma)
    found = uncertainty.minimum_of(state, minimum)
    spread = uncertainty.of_fit(state, found, absolute_sigma=absolute)
    desk.begin_profile(wanted(spread, names, level, desk.now()))


def wanted(found: Uncertainty, names: Sequence[str] | None, level: float, time: float) -> Profiled:
    """Return the event with which the profile of a minimum begins.

    Raises
    ------
    InputError
        There is no such parameter, `level` is none, or nothing varies.
    """
    from scipy import stats  # long to import, and wanted here only

    chance = 0.5 + 0.5 * checked_level(level)
    quantile = stats.t.ppf(chance, found.degrees) if found.degrees else stats.norm.ppf(chance)
    if isinstance(names, str):
        names = [names]
    chosen = tuple(dict.fromkeys(found.names if names is None else names))
    for name in chosen:
        if name not in found.names:
            raise unknown_option("parameter", str(name), found.names)
    if not chosen:
        raise InputError("names= is empty: leave it out for all parameters")
    rise = 0.5 * (found.sigma * float(quantile)) ** 2
    if not rise > 0.0:
        raise InputError("the residuals are zero at the minimum: there is nothing to vary by")
    indices = [found.names.index(name) for name in chosen]
    return Profiled(
        indices=np.array(indices, dtype=np.int64),
        x=found.x.copy(),
        value=found.value,
        steps=np.array([_step(found, i) for i in indices]),
        rise=rise,
        level=float(level),
        time=time,
    )


def _step(found: Uncertainty, index: int) -> float:
    step = float(found.standard_errors[index])
    if 0.0 < step < math.inf:
        return step
    return 1e-2 * (abs(float(found.x[index])) or 1.0)  # held, or not determined
