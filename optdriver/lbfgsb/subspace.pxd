from optdriver.lbfgsb.state cimport Scratch, State

cdef void update_free_set(State s, Scratch q) noexcept nogil
cdef void move_row(State s, Py_ssize_t i, double sign) noexcept nogil
cdef bint form_k(State s, Scratch q) noexcept nogil
cdef void solve_k(State s, Scratch q, double* v) noexcept nogil
cdef void reduced_gradient(State s, Scratch q) noexcept nogil
cdef void residual(double* w, double* x, double* g, double* z, Py_ssize_t* index, double* r, double* mc, double* v, double theta, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t nfree) noexcept nogil
cdef double row_dot(double* w, Py_ssize_t first, double* c, Py_ssize_t k2) noexcept nogil
cdef void add_rows(double* w, Py_ssize_t first, double a, Py_ssize_t second, double b, double* v, Py_ssize_t k2) noexcept nogil
cdef void newton_step(double* w, Py_ssize_t* index, double* r, double* v, double theta, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t nfree) noexcept nogil
cdef bint subspace_minimum(State s, Scratch q) noexcept nogil
cdef bint project(State s, Scratch q) noexcept nogil
cdef double slope(State s, Scratch q) noexcept nogil
cdef void take_projection(State s, Scratch q) noexcept nogil
cdef void truncate(State s, Scratch q) noexcept nogil
