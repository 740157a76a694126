"""Studies: parameters by name, limits, failures, history; asked and told from any thread."""

from optdriver.space.space import Parameter, Space
from optdriver.study.observation import Observation
from optdriver.study.reports import Best, History, LocalMinimum, RunRow, Suggestion
from optdriver.study.spec import Spec
from optdriver.study.study import Study

__all__ = [
    "Best",
    "History",
    "LocalMinimum",
    "Observation",
    "Parameter",
    "RunRow",
    "Space",
    "Spec",
    "Study",
    "Suggestion",
]
