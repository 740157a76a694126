from optdriver.lbfgsb.state cimport Scratch, State

cdef bint cauchy_point(State s, Scratch q) noexcept nogil
cdef void projected_gradient_step(State s) noexcept nogil
cdef Py_ssize_t start_of(State s, Py_ssize_t i) noexcept nogil
cdef Py_ssize_t set_out(State s, Scratch q) noexcept nogil
cdef bint search_path(State s, Scratch q) noexcept nogil
cdef void go(State s, double t) noexcept nogil
cdef void load_row(State s, Py_ssize_t i, double[::1] row) noexcept nogil
cdef void add(double[::1] x, double a, double[::1] y, Py_ssize_t n) noexcept nogil
cdef void heapify(double[::1] t, Py_ssize_t[::1] order, Py_ssize_t n) noexcept nogil
cdef void pop(double[::1] t, Py_ssize_t[::1] order, Py_ssize_t n) noexcept nogil
cdef void sift(double[::1] t, Py_ssize_t[::1] order, Py_ssize_t i, Py_ssize_t n) noexcept nogil
