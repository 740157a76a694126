"""Dense linear algebra and small geometric problems in a fixed order: the same bits everywhere.

The pages are typed Python, compiled where there is a compiler.  They call no BLAS and no LAPACK, so
that neither the processor nor the number of threads decides a bit, and they cost no more than what
they compute.
"""

import optdriver.lbfgsb  # noqa: F401  # it chooses between compiled and interpreted pages
