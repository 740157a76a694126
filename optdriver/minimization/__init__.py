"""Losses on structured parameters, minimised from many starts: the front of the house."""

from optdriver.minimization.front import Minimizer, minimize
from optdriver.minimization.lanes import Start

__all__ = ["Minimizer", "Start", "minimize"]
