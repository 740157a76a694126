cdef class Polyhedron:
    cdef public Py_ssize_t n, k, q, plain, count
    cdef public object reals, whole
    cdef double* wish
    cdef double* point
    cdef double* normal
    cdef double* direction
    cdef double* sign
    cdef double* dual
    cdef double* inside
    cdef double* rates
    cdef double* unit
    cdef double* level
    cdef double* length
    cdef double* basis
    cdef double* upper
    cdef Py_ssize_t* status
    cdef Py_ssize_t* rows
    cdef Py_ssize_t* place


cdef double largest(double* x, Py_ssize_t n) noexcept nogil
cdef double gap(Polyhedron s, Py_ssize_t row) noexcept nogil
cdef double extent(Polyhedron s) noexcept nogil
cdef Py_ssize_t most_violated(Polyhedron s, double tolerance) noexcept nogil
cdef void split(Polyhedron s) noexcept nogil
cdef void back_substitute(Polyhedron s, double* b) noexcept nogil
cdef bint append(Polyhedron s, Py_ssize_t row, double sign) noexcept nogil
cdef void orient(Polyhedron s, Py_ssize_t row, double sign) noexcept nogil
cdef void remove(Polyhedron s, Py_ssize_t place) noexcept nogil
cdef bint enter(Polyhedron s, Py_ssize_t row, double sign) noexcept nogil
cdef void refine(Polyhedron s) noexcept nogil
cdef bint activate(Polyhedron s, double tolerance) noexcept nogil
cdef bint prepare(Polyhedron s, Py_ssize_t k) noexcept nogil
cdef void add_sides(Polyhedron s, double* left, double* right, Py_ssize_t first, Py_ssize_t n) noexcept nogil
cdef object settle(Polyhedron s, double* left, double* right, Py_ssize_t first, Py_ssize_t n)
