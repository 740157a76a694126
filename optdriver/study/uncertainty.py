"""How well the parameters of a minimum are determined: standard errors, correlations, intervals."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.errors import InputError, InputTypeError, ProtocolError
from optdriver.leastsquares import covariance as covariances
from optdriver.leastsquares.covariance import IndefiniteError, Spread
from optdriver.multistart import Run
from optdriver.space.space import Space
from optdriver.study import reports
from optdriver.study.runs import run_of
from optdriver.study.state import State
from optdriver.study.tables import Rows

FloatArray = NDArray[np.float64]

STEP = 2.0**-16
"""Steps of the differences of gradients, in lengths: a parameter's size, or part of its box."""

INSIDE = 2.0**-6
"""The least length, in widths of the box."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterRow:
    """What is known of one parameter.

    Attributes
    ----------
    name : str
    value, standard_error : float
    relative : float
        The standard error as a part of the value.
    unit : str
        Empty where there is none.
    note : str
        Where it is held, or that it is not determined.
    """

    shown: ClassVar = ("name", "value", "standard_error", "relative", "unit", "note")

    name: str
    value: float
    standard_error: float
    relative: float
    unit: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Uncertainty:
    """Covariance of the parameters at a minimum; shown as tables.

    Attributes
    ----------
    names : tuple of str
        The continuous parameters, in whose order the arrays are.
    x, standard_errors : ndarray, shape (n,)
        In the units of the parameters.  The error of one that is held is 0, of one that is not
        determined infinite.
    covariance, correlation : ndarray, shape (n, n)
    value : float
        The value at the minimum.
    sigma : float
        The standard deviation of the residuals that the covariance is for.
    degrees : int or None
        The degrees of freedom of `sigma`; None where it is not estimated.
    source : str
        What the covariance was made of.
    held : dict of str to str
        Which parameters do not vary, and at what they are held.
    together : tuple of tuples of str
        Parameters that are only determined together; one alone is not determined at all.
    notes : tuple of str
        What is to be known of it, in sentences.
    """

    names: tuple[str, ...]
    x: FloatArray
    standard_errors: FloatArray
    covariance: FloatArray
    correlation: FloatArray
    value: float
    sigma: float
    degrees: int | None
    source: str
    held: Mapping[str, str] = field(default_factory=dict)
    together: tuple[tuple[str, ...], ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Rows[ParameterRow]:
        """A row for each parameter."""
        return Rows(
            ParameterRow(
                name=name,
                value=float(x),
                standard_error=float(error),
                relative=float(error / abs(x)) if x else math.inf if error else 0.0,
                unit=self.units.get(name, ""),
                note=self._note(name),
            )
            for name, x, error in zip(self.names, self.x, self.standard_errors, strict=True)
        )

    def _note(self, name: str) -> str:
        if name in self.held:
            return f"held at its {self.held[name]}"
        return "not determined" if any(name in group for group in self.together) else ""

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return intervals of confidence by name, as far as the model is linear over them.

        Parameters
        ----------
        level : float
            Between 0 and 1.  Student's quantile is taken where `sigma` is estimated.
        """
        from scipy import stats

        checked_level(level)
        chance = 0.5 + 0.5 * level
        reach = stats.norm.ppf(chance) if not self.degrees else stats.t.ppf(chance, self.degrees)
        return {
            name: (float(x - reach * error), float(x + reach * error))
            for name, x, error in zip(self.names, self.x, self.standard_errors, strict=True)
        }

    def _cells(self) -> list[list[str]]:
        """Return the table of correlations, with names in its first row and column."""
        body = [
            [name, *("-" if math.isnan(c) else f"{c:+.4f}" for c in row[: k + 1])]
            for k, (name, row) in enumerate(zip(self.names, self.correlation, strict=True))
        ]
        return [["correlation", *self.names], *body]

    def _head(self) -> str:
        freedom = "" if self.degrees is None else f", {self.degrees} degrees of freedom"
        return f"value {self.value:.7g}, sigma {self.sigma:.7g}{freedom}; from {self.source}"

    def __repr__(self) -> str:
        """Return the tables as lines."""
        cells = self._cells()
        widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(len(cells[0]))]
        lines = ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=False)) for r in cells]
        return "\n".join([self._head(), repr(self.table), "", *lines, *self.notes])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._cells()
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        head = f"<p>{html.escape(self._head())}</p>"
        return f"{head}{self.table._repr_html_()}<table>{rows}</table>{notes}"


def checked_level(level: Any) -> float:
    """Return a level of confidence, between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number):
        raise InputTypeError(f"level is a number between 0 and 1, not {level!r}")
    if not 0.0 < level < 1.0:
        raise InputError(f"level is a number between 0 and 1, not {level!r}")
    return float(level)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Minimum:
    """A minimum of a study, and what does not vary there.

    Attributes
    ----------
    x : ndarray, shape (n,)
        In the user's numbers.
    run : Run
        The one that ended there.
    free : ndarray of bool, shape (n,)
    normals : ndarray, shape (c, n)
        Gradients of the active constraints.
    held : dict of str to str
    active : tuple of str
        Active constraints that are no bounds.
    """

    x: FloatArray
    run: Run
    free: NDArray[np.bool_]
    normals: FloatArray
    held: Mapping[str, str]
    active: tuple[str, ...]


def minimum_of(state: State, index: int) -> Minimum:
    """Return the minimum number `index` of a study, lowest first.

    Raises
    ------
    ProtocolError
        No minimizer has converged there.
    InputError
        There are limits on outputs.
    """
    if state.spec.limits is not None:
        raise InputError(
            "an uncertainty is that of a value alone: under limits on outputs the second "
            "derivatives of these count too, and they are not known"
        )
    minima, space = state.driver.minima, state.spec.space
    if isinstance(index, bool) or not isinstance(index, int | np.integer):
        raise InputTypeError(f"minimum is the number of one of study.minima, not {index!r}")
    if not 0 <= index < len(minima):
        raise ProtocolError(
            f"there is no minimum {index}: minimizers have converged to {len(minima)}; an "
            "uncertainty is that of a minimum, so let the study go on until one is found"
        )
    if index == 0:
        _check_best(state)
    runs = [run_of(state.driver, k) for k in minima[index].runs]
    run = min(runs, key=lambda each: math.inf if each.f is None else each.f)
    z = minima[index].x if run.x is None else run.x
    x = space.to_user(z)
    held = reports.active_bounds(state, run)
    free = (space.lower < space.upper) & ~np.isin(space.free, list(held))
    compiled = None if state.spec.compiled is None else state.spec.inner_constraints()
    active = tuple(name for name in run.active if compiled and name in compiled.names)
    normals = np.zeros((0, x.size))
    if compiled is not None and active:
        rows = [list(compiled.names).index(name) for name in active]
        normals = compiled.jacobian(space.inner(x))[rows] / np.where(space.log, x, 1.0)
    return Minimum(x=x, run=run, free=free, normals=normals, held=held, active=active)


def _check_best(state: State) -> None:
    found = reports.best(state)
    if found is not None and not reports.is_minimum(state, found):
        raise ProtocolError(
            f"the best point observed, of value {found.value:.10g}, is no minimum: no minimizer "
            "has converged there; let the study go on, or give minimum= for one of study.minima"
        )


def is_absolute(state: State, given: Any) -> bool:
    """Return whether residuals are in units of their standard deviations."""
    if given is not None and not isinstance(given, bool | np.bool_):
        raise InputTypeError(f"absolute_sigma is True, False or None, not {given!r}")
    return state.sigma is not None if given is None else bool(given)


def known(
    state: State,
    found: Minimum,
    objective: Any,
    absolute_sigma: bool | None,
    num_data: int | None,
) -> Uncertainty | None:
    """Return the uncertainty of a minimum if no gradient is wanted for it; otherwise None.

    Raises
    ------
    InputError
        It cannot be made of gradients either, of which there are none.
    """
    if found.run.factors is not None:
        absolute = is_absolute(state, absolute_sigma)
        return of_fit(state, found, absolute_sigma=absolute)
    made = by_jax(state, found, objective)
    if made is not None:
        return of_gradients(state, found, made, num_data, "JAX's Hessian")
    if not state.parameters["jac"] or driver_factory(state.spec.driver).fits:
        raise InputError(
            "an uncertainty needs residuals (driver='least-squares', under constraints "
            "with constraint_rule=5) or gradients (jac=True), and this study has neither"
        )
    return None


def of_fit(state: State, found: Minimum, *, absolute_sigma: bool) -> Uncertainty:
    """Return the uncertainty of a minimum where residuals are told."""
    made = found.run.factors
    if made is None:
        raise ProtocolError("this minimum has no residuals")
    space = state.spec.space
    spread = covariances.of_factors(
        covariances.in_units(made, space.slope(found.x)), found.free, found.normals
    )
    robust = made.score is not None
    said = "the Jacobian" if state.parameters["jac"] else "a Jacobian by differences"
    source = f"{said} of {made.m} {'weighted ' * (state.sigma is not None)}residuals" + (
        f" with the loss {state.parameters['loss']!r}" if robust else ""
    )
    degrees: int | None = made.m - _count(found)
    scale, notes = 1.0, []
    if degrees is not None and degrees <= 0:
        notes.append(
            f"{made.m} residuals leave no degree of freedom: the errors are those for residuals "
            "with a standard deviation of 1"
        )
        degrees = None
    elif robust or absolute_sigma:
        degrees = degrees if robust else None
    value = float(found.run.f) if found.run.f is not None else math.nan
    sigma = math.sqrt(2.0 * value / degrees) if degrees else 1.0
    scale = 1.0 if robust else sigma**2
    return _made(state, found, spread, value, sigma, degrees, scale, source, notes)


def of_gradients(
    state: State,
    found: Minimum,
    hessian: FloatArray,
    num_data: int | None,
    source: str = "differences of gradients",
) -> Uncertainty:
    """Return the uncertainty of a minimum from second derivatives of what is minimised."""
    try:
        spread = covariances.of_hessian(hessian, found.free, found.normals)
    except IndefiniteError as error:
        raise ProtocolError(
            "the second derivatives have a negative curvature: this is no minimum"
        ) from error
    cost = float(found.run.f) if found.run.f is not None else math.nan
    degrees = None if num_data is None else num_data - _count(found)
    if degrees is not None and degrees <= 0:
        raise InputError(
            f"{num_data} data leave no degree of freedom to {_count(found)} parameters"
        )
    sigma, sign = math.sqrt(2.0 * cost / degrees) if degrees else 1.0, state.spec.sign
    taken = "a negative logarithm" if sign > 0.0 else "the logarithm"
    notes = ["The covariance is the inverse of the Hessian: the value is taken for "
             f"{taken} of a likelihood."] if degrees is None else []  # fmt: skip
    return _made(state, found, spread, sign * cost, sigma, degrees, sigma**2, source, notes)


def _count(found: Minimum) -> int:
    return int(np.count_nonzero(found.free)) - len(found.normals)


def _made(
    state: State,
    found: Minimum,
    spread: Spread,
    value: float,
    sigma: float,
    degrees: int | None,
    scale: float,
    source: str,
    notes: Sequence[str],
) -> Uncertainty:
    space = state.spec.space
    covariance = spread.covariance * scale
    together = tuple(tuple(space.free[i] for i in group) for group in spread.together)
    return Uncertainty(
        names=tuple(space.free),
        x=found.x,
        standard_errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        correlation=covariances.correlation(covariance),
        value=value,
        sigma=sigma,
        degrees=degrees,
        source=source,
        held={name: f"{side} bound" for name, side in found.held.items()},
        together=together,
        units=_units(space),
        notes=(*_words(found, together), *notes),
    )


def _words(found: Minimum, together: tuple[tuple[str, ...], ...]) -> list[str]:
    said = [f"{name} is held at its {side} bound, and does not vary." for name, side in
            found.held.items()]  # fmt: skip
    said += [f"The constraint {name!r} is active: nothing varies across it." for name in
             found.active]  # fmt: skip
    for group in together:
        if len(group) == 1:
            said.append(f"{group[0]} is not determined: nothing depends on it here.")
        else:
            listed = ", ".join(group[:-1]) + f" and {group[-1]}"
            said.append(f"{listed} are only determined together.")
    return said


def _units(space: Space) -> dict[str, str]:
    """Return the units of the parameters that have one, by name."""
    if space.structure is None:
        return {}
    units: list[str] = []
    for leaf in space.structure.leaves:
        units += ["" if leaf.unit is None else str(leaf.unit)] * math.prod(leaf.shape)
    if len(units) != space.size:
        return {}
    return {name: unit for name, unit in zip(space.free, units, strict=True) if unit}


def by_jax(state: State, found: Minimum, objective: Any) -> FloatArray | None:
    """Return the second derivatives that an objective has itself; None where it has none.

    Raises
    ------
    ProtocolError
        They are not finite.
    """
    own = getattr(objective, "hessian", None)
    if own is None or not callable(own):
        return None
    made = np.asarray(own(state.spec.space, found.x), dtype=np.float64)
    if made.shape != (found.x.size, found.x.size) or not np.isfinite(made).all():
        raise ProtocolError("the second derivatives at the minimum are not finite")
    return np.asarray(state.spec.sign * made)


# -- second derivatives by differences of gradients ---------------------------------------


def points(state: State, found: Minimum) -> dict[int, list[FloatArray]]:
    """Return where gradients are wanted: one or two points for each parameter that varies."""
    space, compiled = state.spec.space, state.spec.compiled
    wide = space.upper - space.lower
    least = np.where(np.isfinite(wide), INSIDE * wide, 0.0)
    lengths = np.maximum(np.abs(found.x), least)
    lengths[lengths == 0.0] = 1.0
    wanted: dict[int, list[FloatArray]] = {}
    for i in np.flatnonzero(found.free):
        places = []
        for sign in (1.0, -1.0):
            x = found.x.copy()
            x[i] += sign * STEP * lengths[i]
            inside = space.lower[i] <= x[i] <= space.upper[i]
            if inside and (compiled is None or compiled.is_feasible(x)):
                places.append(space.rounded(x))
        if not places:
            raise ProtocolError(
                f"no point beside the minimum is feasible for {space.free[i]!r}, so that no "
                "second derivative can be had"
            )
        wanted[int(i)] = places
    return wanted


def missing(
    state: State, found: Minimum, wanted: Mapping[int, list[FloatArray]]
) -> list[FloatArray]:
    """Return where gradients are wanted that were never told."""
    told = known_gradients(state)
    places = [x for xs in wanted.values() for x in xs if x.tobytes() not in told]
    if found.x.tobytes() not in told and any(len(xs) == 1 for xs in wanted.values()):
        places.append(found.x)
    return places


def known_gradients(state: State) -> dict[bytes, FloatArray]:
    """Return the gradients that were told, by the bytes of their points."""
    ledger = state.ledger
    if ledger.gradient is None:
        return {}
    rows = np.arange(ledger.since, ledger.size)
    rows = rows[np.isfinite(ledger.gradient[rows]).all(axis=1)]
    return {ledger.x[row].tobytes(): ledger.gradient[row] for row in rows}


def hessian(found: Minimum, wanted: Mapping[int, list[FloatArray]], state: State) -> FloatArray:
    """Return the second derivatives of what is minimised, from gradients that are all known."""
    known = known_gradients(state)
    center = known.get(found.x.tobytes())
    n = found.x.size
    made = np.zeros((n, n))
    for i, places in wanted.items():
        gradients = [known[x.tobytes()] for x in places]
        if len(places) == 1 and center is not None:
            places, gradients = [*places, found.x], [*gradients, center]
        if len(places) == 1:
            raise ProtocolError("the gradient at the minimum itself was never told")
        made[i] = (gradients[0] - gradients[1]) / (places[0][i] - places[1][i])
    made *= state.spec.sign
    free = found.free
    made[np.ix_(free, free)] = 0.5 * (made[np.ix_(free, free)] + made[np.ix_(free, free)].T)
    return made
