"""Other packages' ask/tell optimizers as drivers: CMA-ES, all of Nevergrad, and what is added."""

from optdriver.population.driver import PopulationDriver
from optdriver.population.engines import CMA_ES, COMMON_NAMES, Engine, Optimizer, nevergrad_names

__all__ = ["CMA_ES", "COMMON_NAMES", "Engine", "Optimizer", "PopulationDriver", "nevergrad_names"]
