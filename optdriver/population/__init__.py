"""Other packages' ask/tell optimizers as drivers: CMA-ES, and all of Nevergrad."""

from optdriver.population.driver import PopulationDriver
from optdriver.population.engines import CMA_ES, COMMON_NAMES, nevergrad_names

__all__ = ["CMA_ES", "COMMON_NAMES", "PopulationDriver", "nevergrad_names"]
