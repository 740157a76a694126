from optdriver.geometry.newton cimport Factor, Step
from optdriver.geometry.subproblem cimport Point, Subproblem


cdef class Run:
    cdef public Subproblem problem
    cdef public Point here, trial, corrected
    cdef public Step step, correction
    cdef public Factor factor
    cdef public object reals
    cdef public double mu, penalty, error
    cdef public Py_ssize_t count
    cdef double* slopes
    cdef double* others
    cdef double* residual
    cdef double* dual


cdef bint first_point(Run r, double* start, double inset) except? False
cdef void first_duals(Run r, double mu) except *
cdef void dual_residual(Run r) noexcept
cdef double largest(double* x, Py_ssize_t n) noexcept nogil
cdef double sizes(double* x, Py_ssize_t n) noexcept nogil
cdef double outside(Subproblem s, Point p) noexcept
cdef double scaled_error(Run r, double mu) noexcept
cdef double merit(Subproblem s, Point p, double mu, double penalty) noexcept
cdef double fraction(double* values, double* change, Py_ssize_t n, double keep) noexcept nogil
cdef double kept(double mu) noexcept nogil
cdef double to_boundary(Run r, Step d) noexcept
cdef double near(double dual, double central) noexcept nogil
cdef bint move(Run r, Step d, double length, Point out) except? False
cdef bint correct(Run r, double length) except? False
cdef double slope_of_barrier(Run r) noexcept
cdef bint accept(Run r, Point p) except? False
cdef bint search(Run r) except? False
cdef void iterate(Run r, double tolerance, Py_ssize_t most) except *
