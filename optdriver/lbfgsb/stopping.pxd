from optdriver.lbfgsb.state cimport State

cdef double projected_gradient_norm(State s, double* x, double* g) noexcept nogil
cdef bint is_stationary(State s, double* x, double* g, double f, double norm) noexcept nogil
cdef void learn_unit(State s) noexcept nogil
cdef bint reduction_is_small(State s, double before, double after) noexcept nogil
cdef bint falls_without_end(State s, double after) noexcept nogil
cdef double reach(State s, Py_ssize_t i) noexcept nogil
cdef double missed(State s) noexcept nogil
cdef double promise(State s) noexcept nogil
cdef bint objects(State s) noexcept nogil
cdef bint uneven(State s) noexcept nogil
cdef bint falls_plainly(State s) noexcept nogil
cdef double along_the_floor(State s) noexcept nogil
cdef bint falls_along(State s, double part) noexcept nogil
