"""BoTorch and Optuna warn of their own affairs when they are imported: do so here, quietly."""

import importlib
import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in ("botorch.acquisition", "botorch.test_utils", "optuna.samplers"):
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Neither faster nor the same numbers with more of them, and slow where others are busy."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)
