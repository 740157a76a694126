"""What is installed is the wheel, compiled: for the tests of wheels, which run beside a tree."""

import sys
from pathlib import Path

import optdriver
from optdriver import lbfgsb

where = Path(optdriver.__file__).resolve()
if not where.is_relative_to(Path(sys.prefix).resolve()):
    sys.exit(f"optdriver is imported from {where}, not from the environment {sys.prefix}")
if not lbfgsb.compiled():
    sys.exit("the kernel of this wheel is not compiled")
optdriver.show_config()
