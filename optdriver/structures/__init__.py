"""Where structures were: what was pickled then names this place."""

from optdriver.moved import stand_in

WERE_HERE = ("bounds", "dependents", "description", "nodes", "pytree", "units")

stand_in(__name__, "optdriver.space", WERE_HERE)
