"""The tests inside the real BoTorch and Optuna are collected where PyTorch is installed.

The extra `test` does not bring it, since its usual build is several gigabytes; `.ci/run` installs a
small one and runs that folder, which fails if nothing was collected.
"""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["with_torch"]
