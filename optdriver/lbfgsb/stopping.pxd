from optdriver.lbfgsb.state cimport State

cdef double projected_gradient_norm(State s, double[::1] x, double[::1] g) noexcept nogil
cdef bint reduction_is_small(State s, double before, double after) noexcept nogil
