cdef double peak(double* x, Py_ssize_t n) noexcept nogil
