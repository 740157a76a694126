"""BoTorch and Optuna warn of their own affairs when they are imported: do so here, quietly."""

import importlib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in ("botorch.acquisition", "botorch.test_utils", "optuna.samplers"):
        importlib.import_module(name)
