from optdriver.lbfgsb.state cimport Scratch, State

cdef void forget(State s) noexcept nogil
cdef Py_ssize_t slot(State s, Py_ssize_t age) noexcept nogil
cdef void remember(State s, Scratch q, double sy) noexcept nogil
cdef void sweep(double* w, Py_ssize_t* free, double* s_new, double* y_new, double* sums, Py_ssize_t new, Py_ssize_t k, Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef void fill(State s, Scratch q, Py_ssize_t new) noexcept nogil
cdef bint form_middle(State s, Scratch q) noexcept nogil
cdef void middle(State s, Scratch q, double* v, double* out) noexcept nogil
cdef void scale_by_theta(State s, double* p) noexcept nogil
cdef void two_loop(State s, Scratch q) noexcept nogil
cdef void gather(double* w, double* g, double* p, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t n) noexcept nogil
cdef void first_loop(State s, Scratch q) noexcept nogil
cdef void second_loop(State s, Scratch q) noexcept nogil
cdef void spread(double* w, double* g, double* c, double* d, double theta, Py_ssize_t k2, Py_ssize_t m2, Py_ssize_t n) noexcept nogil
