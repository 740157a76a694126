from optdriver.geometry.formulas cimport Formulas


cdef class Subproblem:
    cdef public Py_ssize_t n, m, q
    cdef public double rounding
    cdef public object reals, functions
    cdef public Formulas formulas
    cdef double* gradient
    cdef double* curvature
    cdef double* lower
    cdef double* upper


cdef class Point:
    cdef public double model
    cdef public object reals
    cdef double* t
    cdef double* zl
    cdef double* zu
    cdef double* slope
    cdef double* s
    cdef double* lam
    cdef double* nu
    cdef double* rows


cdef void set_model(Subproblem s, Point p) noexcept
cdef bint set_rows(Subproblem s, Point p) except? False
cdef bint set_slopes(Subproblem s, Point p, double* out) except? False
cdef void set_bends(Subproblem s, Point p, double* out) except *
cdef object array(double* x, Py_ssize_t n)
