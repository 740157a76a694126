from optdriver.lbfgsb.state cimport Scratch, State

cdef bint cauchy_point(State s, Scratch q) noexcept nogil
cdef void projected_gradient_step(State s) noexcept nogil
cdef Py_ssize_t start_of(State s, Py_ssize_t i) noexcept nogil
cdef Py_ssize_t set_out(State s, Scratch q) noexcept nogil
cdef void along(State s, Scratch q) noexcept nogil
cdef bint search_path(State s, Scratch q) noexcept nogil
cdef void go(State s, double t) noexcept nogil
cdef void load_row(State s, Py_ssize_t i, double* row) noexcept nogil
cdef void add(double* x, double a, double* y, Py_ssize_t n) noexcept nogil
cdef void heapify(double* t, Py_ssize_t* order, Py_ssize_t n) noexcept nogil
cdef void pop(double* t, Py_ssize_t* order, Py_ssize_t n) noexcept nogil
cdef void sift(double* t, Py_ssize_t* order, Py_ssize_t i, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t split(double* t, Py_ssize_t* order, Py_ssize_t n, double far) noexcept nogil
cdef void move_up(double* t, Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n) noexcept nogil
