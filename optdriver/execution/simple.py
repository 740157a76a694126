"""The dumb loop: the same results as `run` with one worker, for debugging and for the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optdriver.execution.calling import Objective, prepare
from optdriver.study.observation import split

if TYPE_CHECKING:
    from optdriver.study import Study


def simple(study: Study, objective: Objective | None = None) -> None:
    """Evaluate until the study is done, one point after the other; exceptions come through."""
    call = prepare(study, objective, None)
    while (suggestion := study.ask()) is not None:
        study.tell(suggestion.id, *split(call(**suggestion.params)))
