"""Running a study: the evaluation loop over any executor, and the dumb loop beside it."""

from optdriver.execution.local import LocalExecutor
from optdriver.execution.loop import run
from optdriver.execution.simple import simple

__all__ = ["LocalExecutor", "run", "simple"]
