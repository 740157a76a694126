"""What the other dialect asks of ``study.driver``, and of what was observed before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optdriver.errors import InputError, InputTypeError
from optdriver.study import inputs
from optdriver.study.reports import best_so_far, own_columns

if TYPE_CHECKING:
    from optdriver.space.space import Space


class DriverPart:
    """The driver of a study as the other dialect has it; all is read from the study.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Any) -> None:
        self._study = study

    @property
    def name(self) -> str:
        """The name of the driver."""
        return str(self._study.spec.driver)

    @property
    def configuration(self) -> dict[str, Any]:
        """The present driver parameters by name, as ``study.parameters``."""
        return dict(self._study.parameters)

    @property
    def best_sample(self) -> Any:
        """The parameters of the best observed point, None before there is one."""
        best = self._study.best
        return None if best is None else best.params

    @property
    def min_objective(self) -> float | None:
        """The best observed value, None before there is one."""
        best = self._study.best
        return None if best is None else float(best.value)

    def describe(self) -> dict[str, Any]:
        """Return every driver parameter with its meaning, default and value."""
        found: dict[str, Any] = self._study.describe()["parameters"]
        return found

    def historic_parameter_values(self, path: str) -> list[float]:
        """Return the same as `Study.historic_parameter_values`."""
        return historic(self._study, path)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<driver {self.name!r} of {self._study!r}>"


def historic(study: Any, path: Any) -> list[float]:
    """Return what `path` names after each evaluation that gave a value.

    Raises
    ------
    InputError
        There is no such path.
    """
    table = study.history
    own = own_columns(table, study.space)
    rows = (own["objective"] == study.objective_number) & np.isfinite(own["value"])
    values = own["value"][rows]
    named = str(path).removeprefix("driver.").removeprefix("observation.")
    if named == "min_objective":
        best = best_so_far(values, study.spec.sign, table.counted[rows])
        values = best[np.isfinite(best)]
    elif named != "value":
        raise InputError("there are the paths 'driver.min_objective' and 'observation.value'")
    found: list[float] = values.tolist()
    return found


def from_data(data: Any, space: Space, fit: Any, limits: Any = None) -> list[inputs.Added]:
    """Return the points in what `Study.get_observation_data` returned, of one or of all.

    Raises
    ------
    InputError
        It is something else, or the points are not of this space.
    """
    if not isinstance(data, Mapping):
        raise InputTypeError(f"what get_observation_data() returns is expected, not {data!r}")
    names = ("sample", "value", "derivatives", "outputs", "uncertainty")
    lacking = [name for name in names[:2] if name not in data]
    if lacking:
        raise InputError(
            f"the data have no {lacking[0]!r}: give what get_observation_data() returns"
        )
    given = [data.get(name) for name in names]
    columns: list[Any] = given if isinstance(given[0], list) else [[each] for each in given]
    columns = [[None] * len(columns[0]) if column is None else column for column in columns]
    if len({len(column) for column in columns}) > 1:
        raise InputError("the data have not as many values, or derivatives, as samples")
    return [
        inputs.added(point, value, slope, space, fit, put, limits, spread)
        for point, value, slope, put, spread in zip(*columns, strict=True)
    ]
