cdef void rotate(double* a, Py_ssize_t i, Py_ssize_t j, Py_ssize_t n, double cosine, double sine) noexcept nogil
cdef bint sweep(double* a, double* v, Py_ssize_t n, Py_ssize_t m) noexcept nogil
