"""Many local minimizers from many starts, asked and told as if they were one."""

from optdriver.multistart.admission import Moved
from optdriver.multistart.ask_tell import OPTION_NAMES, MultiStart
from optdriver.multistart.records import Evaluation, Minimum, Point, Run

__all__ = ["OPTION_NAMES", "Evaluation", "Minimum", "Moved", "MultiStart", "Point", "Run"]
