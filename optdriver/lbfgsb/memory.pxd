from optdriver.lbfgsb.state cimport Scratch, State

cdef void forget(State s) noexcept nogil
cdef Py_ssize_t slot(State s, Py_ssize_t age) noexcept nogil
cdef void remember(State s, Scratch q, double sy) noexcept nogil
cdef void write(double* w, double* y, double* z, Py_ssize_t new, Py_ssize_t m2, Py_ssize_t n) noexcept nogil
cdef void sweep(State s, Scratch q) noexcept nogil
cdef void fill(State s, Scratch q, Py_ssize_t new) noexcept nogil
cdef bint form_middle(State s, Scratch q) noexcept nogil
cdef void middle(State s, Scratch q, double* v, double* out) noexcept nogil
cdef void scale_by_theta(State s, double* p) noexcept nogil
cdef void two_loop(State s, Scratch q) noexcept nogil
cdef void list_all(State s, Scratch q) noexcept nogil
cdef void gather(double* w, Py_ssize_t* index, double* g, double* p, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t count) noexcept nogil
cdef void gather_two(double* w, Py_ssize_t* index, double* g, double* h, double* p, double* q, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t count) noexcept nogil
cdef void first_loop(State s, Scratch q) noexcept nogil
cdef void second_loop(State s, Scratch q) noexcept nogil
cdef void spread(double* w, double* g, double* c, double* d, double theta, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t n) noexcept nogil
