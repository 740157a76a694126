"""What the interpreted kernel needs of the `cython` module where Cython is not installed.

The kernel uses `cython` for type annotations, which are never evaluated at run time, for
``cython.compiled`` and for ``with cython.nogil``.
"""

from __future__ import annotations

from contextlib import nullcontext

compiled = False
nogil = nullcontext()
