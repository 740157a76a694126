"""Pictures of a study: each function takes a study or the path of one, and returns the axes.

They need matplotlib, the extra `plot`.  A study that another process writes can be drawn at any
time: its file is only read.

>>> import matplotlib; matplotlib.use("Agg")
>>> import optdriver
>>> from optdriver import plots
>>> study = optdriver.create_study({'x': (-2, 2), 'y': (-2, 2)}, max_num_minimizers=2)
>>> study.run(lambda x, y: (x - 1) ** 2 + y**2)
>>> axes = plots.history(study)
>>> axes.figure.savefig("/dev/null", format="png")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, missing_extra, unknown_option
from optdriver.studies import load_study
from optdriver.study import Study
from optdriver.study.kinds import DOUBTFUL, SADDLE
from optdriver.study.reports import best_so_far, own_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "basins",
    "contour",
    "gradient",
    "history",
    "minima",
    "parallel",
    "runs",
    "slack",
    "slices",
]

Array = NDArray[Any]

GOOD, BAD, SOFT = "#1f5fa8", "#c0392b", "#9aa5b1"
DECADES = 2.5
"""Values that are positive and span so many decades are drawn on a logarithmic axis."""


def history(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw the value of every evaluation, the best so far, and where evaluations failed.

    Parameters
    ----------
    study : Study or path
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        ax = _axes(ax, found, "evaluation", "value")
        told = table.told
        ax.plot(table.id[told], table.value[told], ".", color=SOFT, label="observed")
        ended = np.argsort(table.ended[told], kind="stable")
        best = best_so_far(table.value[told][ended], found.spec.sign, table.counted[told][ended])
        ax.step(np.sort(table.id[told]), best, where="post", color=GOOD, label="best so far")
        failed = table.id[~told]
        ax.plot(
            failed,
            np.full(failed.size, 0.02),
            "x",
            color=BAD,
            transform=ax.get_xaxis_transform(),
            label="failed",
        )
        _scale_values(ax, table.value[told])
        ax.legend(frameon=False)
        return ax


def runs(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw each minimizer's best value by the number of its own evaluations.

    Those that converged end in a dot.

    Parameters
    ----------
    study : Study or path
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        ax = _axes(ax, found, "evaluations of the minimizer", "its best value")
        state = {row.index: row.state for row in found.runs}
        for run in np.unique(table.run[table.run >= 0]):
            mine = table.told & (table.run == run)
            if not mine.any():
                continue
            best = best_so_far(table.value[mine], found.spec.sign, table.counted[mine])
            count = np.flatnonzero(table.told[table.run == run]) + 1
            (line,) = ax.plot(count, best, drawstyle="steps-post", alpha=0.8)
            if state.get(int(run)) == "converged":
                ax.plot(count[-1:], best[-1:], "o", color=line.get_color())
        _scale_values(ax, table.value[table.told])
        return ax


def minima(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw the distinct minima, lowest first: their values, and how often each was found.

    Ends that are known to be no minimum are red, and say what they are.

    Parameters
    ----------
    study : Study or path
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        rows = sorted(found.minima, key=lambda row: found.spec.sign * row.value)
        ax = _axes(ax, found, "minimum" if found.spec.sign > 0.0 else "maximum", "value")
        place = np.arange(1, len(rows) + 1)
        value = np.array([row.value for row in rows])
        ax.plot(place, value, "o", color=GOOD)
        for x, row in zip(place, rows, strict=True):
            note = f"{row.times_found}×"
            if row.kind in (SADDLE, DOUBTFUL):
                ax.plot(x, row.value, "o", color=BAD)
                note += f"\n{row.kind}"
            ax.annotate(note, (x, row.value), (0, 6), textcoords="offset points", ha="center")
        ax.set_xticks(place)
        ax.margins(y=0.15)
        return ax


def parallel(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw every evaluation as a line through its parameters (parallel coordinates).

    Each parameter is drawn between its bounds, or the least and greatest value that was asked where
    it has none; the better the value, the darker the line, and the best point is drawn last.

    Parameters
    ----------
    study : Study or path
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        ax = _axes(ax, found, "", "")
        x = table.x[table.told]
        lower, upper = _ranges(found, table.x)
        part = (x - lower) / np.where(upper > lower, upper - lower, 1.0)
        order = np.argsort(-found.spec.sign * table.value[table.told], kind="stable")
        shade = np.linspace(0.1, 0.8, len(order))
        for depth, row in zip(shade, order, strict=True):
            ax.plot(part[row], color=GOOD, alpha=float(depth), linewidth=0.8)
        if order.size:
            ax.plot(part[order[-1]], color=BAD, linewidth=2, label="best")
            ax.legend(frameon=False)
        names = found.space.free
        ticks = [f"{n}\n[{a:.4g}, {b:.4g}]" for n, a, b in zip(names, lower, upper, strict=True)]
        ax.set_xticks(range(len(names)), ticks)
        ax.set_yticks([])
        return ax


def slices(study: Study | str | os.PathLike[str], *, axes: Any = None) -> Array:
    """Draw the observed values against each parameter, an axes a parameter.

    Parameters
    ----------
    study : Study or path
    axes : sequence of matplotlib.axes.Axes, optional
        One for each continuous parameter.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        drawn = _row_of_axes(axes, len(found.space.free))
        for i, (name, ax) in enumerate(zip(found.space.free, drawn, strict=True)):
            ax.plot(table.x[table.told, i], table.value[table.told], ".", color=GOOD, alpha=0.6)
            ax.set_xlabel(name)
            _scale_values(ax, table.value[table.told])
        drawn[0].set_ylabel("value")
        return drawn


def contour(
    study: Study | str | os.PathLike[str],
    x: str | None = None,
    y: str | None = None,
    *,
    points: int = 160,
    ax: Axes | None = None,
) -> Axes:
    """Draw the evaluations in the plane of two parameters, and shade where constraints forbid.

    The shade is that of the plane through the best point: all other parameters are as there.

    Parameters
    ----------
    study : Study or path
    x, y : str, optional
        Names of continuous parameters; the first two otherwise.
    points : int
        The shade is computed on a grid of so many points a side.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        i, j = _plane(found, x, y)
        ax = _axes(ax, found, found.space.free[i], found.space.free[j])
        lower, upper = _ranges(found, table.x)
        if found.spec.compiled is not None and found.best is not None:
            sides = [np.linspace(lower[k], upper[k], points) for k in (i, j)]
            grid = np.tile(found.best.x, (points * points, 1))
            grid[:, i], grid[:, j] = (side.ravel() for side in np.meshgrid(*sides))
            allowed = _allowed(found.spec.compiled, grid).reshape(points, points)
            ax.contourf(*sides, ~allowed, levels=[0.5, 1.5], colors=[SOFT], alpha=0.4)
        told = table.told
        shades = "viridis_r" if found.spec.sign > 0.0 else "viridis"
        drawn = ax.scatter(
            table.x[told, i], table.x[told, j], c=table.value[told], cmap=shades, s=16
        )
        ax.plot(table.x[~told, i], table.x[~told, j], "x", color=BAD)
        if found.best is not None:
            ax.plot(found.best.x[i], found.best.x[j], "*", color=BAD, markersize=14)
            ax.figure.colorbar(drawn, ax=ax, label="value")
        ax.set_xlim(lower[i], upper[i])
        ax.set_ylim(lower[j], upper[j])
        return ax


def basins(
    study: Study | str | os.PathLike[str],
    x: str | None = None,
    y: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw where minimizers started, their paths, and the minima in which they ended.

    A path has the colour of its minimum; grey are those that ended nowhere or were paused, and the
    starts from which none was begun.  Of more than two parameters, if none are named, the two
    principal directions of all minima and starts are drawn, measured by the widths of the box.

    Parameters
    ----------
    study : Study or path
    x, y : str, optional
        Names of continuous parameters.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with _opened(study) as found:
        table = _Table(found)
        named = x is not None or y is not None or len(found.space.free) <= 2
        minima = tuple(found.minima)
        places = np.array([row.x for row in minima]).reshape(-1, len(found.space.free))
        if named:
            i, j = _plane(found, x, y)
            ax = _axes(ax, found, found.space.free[i], found.space.free[j])
            flat = np.eye(len(found.space.free))[:, [i, j]]
        else:
            ax = _axes(ax, found, "first direction", "second direction")
            flat = _principal(found, table.x, places)
        points, ends = table.x @ flat, places @ flat
        minimum_of = {run: k for k, row in enumerate(minima) for run in row.runs}
        colours = _pyplot().get_cmap("tab20")
        for run in np.unique(table.run[table.run >= 0]):
            path = points[(table.run == run) & table.iterate]
            if not len(path):
                continue
            colour = colours(minimum_of[int(run)] % 20) if int(run) in minimum_of else SOFT
            ax.plot(*path[:1].T, "o", color=colour, markersize=3)
            ax.plot(*path.T, "-", color=colour, linewidth=0.8)
        for k, (end, row) in enumerate(zip(ends, minima, strict=True)):
            ax.plot(*end[:, None], "*", color=colours(k % 20), markersize=12, markeredgecolor="k")
            said = f"{row.value:.4g}" + f" {row.kind}" * (row.kind in (SADDLE, DOUBTFUL))
            ax.annotate(said, end, (6, 4), textcoords="offset points", fontsize=8)
        return ax


def _principal(study: Study, x: Array, places: Array) -> Array:
    """Return the two directions, shape (n, 2), along which points differ most, in unit widths."""
    lower, upper = _ranges(study, x)
    width = np.where(upper > lower, upper - lower, 1.0)
    all_points = np.concatenate([places, x]) / width
    if not len(all_points):
        return np.eye(len(width))[:, :2]
    axes = np.linalg.svd(all_points - all_points.mean(axis=0), full_matrices=True)[2]
    made: Array = (axes[:2] / width).T
    return made


def slack(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw how far each constraint is from its limit at the best point, in the constraint's size.

    A bar is ``-c(x)`` for a constraint that is read as ``c(x) <= 0``, scaled as its test of
    feasibility is; one of no length is active.

    Parameters
    ----------
    study : Study or path
        One with constraints, and at least one observation.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there are no constraints, or no point was observed.
    """
    with _opened(study) as found:
        known, best = found.spec.compiled, found.best
        if known is None:
            raise InputError(f"study {found.name!r} has no constraints whose slack could be drawn")
        if best is None:
            raise InputError(
                f"nothing was observed in study {found.name!r}: there is no best point"
            )
        ax = _axes(ax, found, "slack at the best point", "")
        values = -known.values(best.x)
        place = np.arange(len(values))
        ax.barh(place, values, color=[BAD if abs(v) < 1e-6 else GOOD for v in values])
        ax.set_yticks(place, list(known.names))
        ax.invert_yaxis()
        ax.axvline(0.0, color="black", linewidth=0.8)
        return ax


def gradient(study: Study | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Draw the norm of the projected gradient along each minimizer.

    That is the largest derivative which the bounds do not answer for: at a bound only one that
    points inside counts.

    Parameters
    ----------
    study : Study or path
        One with gradients (``jac=True``).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If no gradient was supplied.
    """
    with _opened(study) as found:
        table = _Table(found)
        if table.gradient is None:
            raise InputError(
                f"study {found.name!r} has no gradients: it has jac=False, and differences are not "
                "kept as such"
            )
        ax = _axes(ax, found, "evaluations of the minimizer", "projected gradient")
        size = _projected(found, table.x, table.gradient)
        for run in np.unique(table.run[table.run >= 0]):
            mine = table.told & (table.run == run) & np.isfinite(size)
            ax.plot(np.arange(1, mine.sum() + 1), size[mine], ".-", linewidth=0.8)
        if np.any(size[table.told] > 0.0):
            ax.set_yscale("log")
        return ax


class _Table:
    """The columns of a history, under their own names whatever the parameters are called.

    Evaluations of former objectives are left out.
    """

    def __init__(self, study: Study) -> None:
        columns = study.history
        own = own_columns(columns, study.space)
        rows = own["objective"] == study.objective_number
        self.id: Array = own["id"][rows]
        self.run: Array = own["run"][rows]
        self.value: Array = own["value"][rows]
        self.ended: Array = own["ended"][rows]
        self.told: Array = np.isfinite(self.value)
        self.iterate: Array = own["kind"][rows] == "iterate"
        self.counted: Array = columns.counted[rows]
        self.x = columns.x[rows]
        self.gradient = None if columns.gradient is None else columns.gradient[rows]


@contextmanager
def _opened(study: Study | str | os.PathLike[str]) -> Iterator[Study]:
    if isinstance(study, Study):
        yield study
        return
    with load_study(study, read_only=True) as found:
        yield found


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing_extra("a picture of a study", "matplotlib", "plot") from error
    return plt


def _axes(ax: Axes | None, study: Study, x: str, y: str) -> Axes:
    if ax is None:
        ax = _pyplot().subplots(layout="constrained")[1]
    if study.name:
        ax.set_title(study.name)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return ax


def _row_of_axes(axes: Any, number: int) -> Array:
    if axes is None:
        size = (min(3.0 * number, 15.0), 3.2)
        figure = _pyplot().subplots(1, number, sharey=True, squeeze=False, figsize=size)
        axes = figure[1]
        figure[0].set_layout_engine("constrained")
    drawn = np.asarray(axes, dtype=object).ravel()
    if drawn.size != number:
        raise InputError(f"{number} parameters are drawn on as many axes; given: {drawn.size}")
    return drawn


def _scale_values(ax: Axes, value: Array) -> None:
    """Draw values over many decades on a logarithmic axis."""
    if value.size and value.min() > 0.0 and value.max() > value.min() * 10.0**DECADES:
        ax.set_yscale("log")


def _ranges(study: Study, x: Array) -> tuple[Array, Array]:
    """Return the box, with what was asked in place of infinite sides."""
    space = study.space
    low = x.min(axis=0) if len(x) else np.zeros(space.size)
    high = x.max(axis=0) if len(x) else np.ones(space.size)
    return (
        np.where(np.isfinite(space.lower), space.lower, low),
        np.where(np.isfinite(space.upper), space.upper, high),
    )


def _plane(study: Study, x: str | None, y: str | None) -> tuple[int, int]:
    free = study.space.free
    if len(free) < 2:
        raise InputError(f"a plane needs two continuous parameters; there is only {free[0]!r}")
    named = []
    for given, default in ((x, free[0]), (y, free[1])):
        name = default if given is None else given
        if name not in free:
            raise unknown_option("continuous parameter", str(name), free)
        named.append(free.index(name))
    if named[0] == named[1]:
        raise InputError(f"a plane needs two parameters, not {free[named[0]]!r} twice")
    return named[0], named[1]


def _allowed(known: Any, grid: Array) -> Array:
    test: Callable[[Array], bool] = known.is_feasible
    with np.errstate(all="ignore"):
        return np.fromiter((test(point) for point in grid), dtype=bool, count=len(grid))


def _projected(study: Study, x: Array, slope: Array) -> Array:
    at_lower, at_upper = x <= study.space.lower, x >= study.space.upper
    held = (at_lower & (slope > 0.0)) | (at_upper & (slope < 0.0))
    size: Array = np.abs(np.where(held, 0.0, slope)).max(axis=1)
    return size
