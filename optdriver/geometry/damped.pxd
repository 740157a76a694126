from optdriver.geometry.factors cimport LeastSquares


cdef class Damped:
    cdef public Py_ssize_t k, n, m
    cdef public object reals, whole
    cdef LeastSquares least
    cdef double* matrix
    cdef double* right
    cdef double* left
    cdef double* columns
    cdef double* low
    cdef double* high
    cdef double* x
    cdef double* z
    cdef double* p
    cdef Py_ssize_t* status
    cdef Py_ssize_t* free
    cdef Py_ssize_t* barred


cdef bint set_up(Damped s, double* triangle, double* q, double* scale, double damping) noexcept
cdef void settle_free(Damped s, double tolerance) except *
cdef void settle(Damped s, double tolerance) except *
cdef void hold(Damped s, Py_ssize_t j, Py_ssize_t side) noexcept
cdef void improve(Damped s, double tolerance) except *
cdef Py_ssize_t most_promising(Damped s, double level) noexcept
cdef bint advance(Damped s) noexcept
cdef void put_step(Damped s, double* low, double* high) noexcept
cdef bint solve_damped(Damped s, double* triangle, double* q, double* scale, double damping, double* low, double* high) except? False
cdef double scaled_length(Damped s, double* scale) noexcept
cdef double next_damping(Damped s, double* scale, double length, double radius, double damping) noexcept
cdef double shortened(Damped s, double* triangle, double* q, double* scale, double radius, double* low, double* high) except? -1.0
