from optdriver.lbfgsb.state cimport Scratch, State

cdef void update_free_set(State s, Scratch q) noexcept nogil
cdef void move_row(State s, Py_ssize_t i, double sign) noexcept nogil
cdef bint form_k(State s, Scratch q) noexcept nogil
cdef void form_c(State s, Scratch q) noexcept nogil
cdef void solve_k(State s, Scratch q, double[::1] v) noexcept nogil
cdef void reduced_gradient(State s, Scratch q) noexcept nogil
cdef void residual(double[:, ::1] w, double[::1] x, double[::1] g, double[::1] z, Py_ssize_t[::1] index, double[::1] r, double[::1] mc, double[::1] v, double theta, Py_ssize_t k2, Py_ssize_t nfree) noexcept nogil
cdef void newton_step(double[:, ::1] w, Py_ssize_t[::1] index, double[::1] r, double[::1] v, double theta, Py_ssize_t k2, Py_ssize_t nfree) noexcept nogil
cdef bint subspace_minimum(State s, Scratch q) noexcept nogil
cdef bint project(State s, Scratch q) noexcept nogil
cdef double slope(State s, Scratch q) noexcept nogil
cdef void take_projection(State s, Scratch q) noexcept nogil
cdef void truncate(State s, Scratch q) noexcept nogil
