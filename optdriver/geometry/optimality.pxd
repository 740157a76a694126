cdef double longest(double* x, Py_ssize_t n) noexcept nogil
