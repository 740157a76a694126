from optdriver.geometry.active_set cimport Polyhedron


cdef double longest(double* x, Py_ssize_t n) noexcept nogil
cdef void take(Polyhedron s, Py_ssize_t at, double* row, Py_ssize_t* which) noexcept nogil
cdef double level(double value) noexcept nogil
