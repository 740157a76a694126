"""Where structures were at first: what was pickled then names this place."""

from optdriver.space.pytree import Interval, Leaf, Structure

__all__ = ["Interval", "Leaf", "Structure"]
