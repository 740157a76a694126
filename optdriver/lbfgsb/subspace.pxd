from optdriver.lbfgsb.state cimport Scratch, State

cdef void update_free_set(State s, Scratch q) noexcept nogil
cdef void move_row(State s, Scratch q, Py_ssize_t i, double sign) noexcept nogil
cdef bint form_k(State s, Scratch q) noexcept nogil
cdef void solve_k(State s, Scratch q, double* v) noexcept nogil
cdef void reduced_gradient(State s, Scratch q) noexcept nogil
cdef double row_dot(double* w, Py_ssize_t first, double* c, Py_ssize_t k2) noexcept nogil
cdef void newton_step(double* w, Py_ssize_t* index, double* d, double* r, double* c, double rest, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t nfree) noexcept nogil
cdef bint subspace_minimum(State s, Scratch q) noexcept nogil
cdef bint project(State s, Scratch q) noexcept nogil
cdef double slope(State s) noexcept nogil
cdef void truncate(State s, Scratch q) noexcept nogil
