from optdriver.lbfgsb.state cimport Scratch, State

cdef void forget(State s) noexcept nogil
cdef Py_ssize_t slot(State s, Py_ssize_t age) noexcept nogil
cdef void remember(State s, Scratch q, double sy) noexcept nogil
cdef void sweep(double[:, ::1] w, double[:, ::1] sums, Py_ssize_t[::1] free, double[::1] s_new, double[::1] y_new, Py_ssize_t new, Py_ssize_t k, Py_ssize_t n) noexcept nogil
cdef void fill(State s, Scratch q, Py_ssize_t new) noexcept nogil
cdef bint form_middle(State s, Scratch q) noexcept nogil
cdef void middle(State s, Scratch q, double[::1] v, double[::1] out) noexcept nogil
cdef void scale_by_theta(State s, double[::1] p) noexcept nogil
cdef void two_loop(State s, Scratch q) noexcept nogil
cdef void gather(double[:, ::1] w, double[::1] g, double[::1] p, Py_ssize_t k2, Py_ssize_t n) noexcept nogil
cdef void first_loop(State s, Scratch q) noexcept nogil
cdef void second_loop(State s, Scratch q) noexcept nogil
cdef void spread(double[:, ::1] w, double[::1] g, double[::1] c, double[::1] d, double theta, Py_ssize_t k2, Py_ssize_t n) noexcept nogil
