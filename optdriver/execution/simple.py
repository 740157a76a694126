"""The dumb loop: the same results as `run` with one worker, for debugging and for the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optdriver.drivers import driver_factory
from optdriver.execution.calling import Objective, call, output_names, prepare
from optdriver.study.observation import parts

if TYPE_CHECKING:
    from optdriver.study import Study


def simple(study: Study, objective: Objective | None = None) -> None:
    """Evaluate until the study is done, one point after the other; exceptions come through."""
    prepared, space = prepare(study, objective, None), study.space
    while (suggestion := study.ask()) is not None:
        result = call(prepared, suggestion.params, space.handed)
        units, fits = space.structure is not None, driver_factory(study.spec.driver).fits
        told = parts(result, units=units, fits=fits, outputs=output_names(study))
        study.tell(suggestion.id, **told)
