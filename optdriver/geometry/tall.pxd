cdef double unit_of(double* a, Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef void reduce_tile(double* upper, double* tile, double* heads, double* beta, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t count) noexcept nogil
cdef void reflect_tile(double* top, double* part, double* tile, double* heads, double* beta, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t count) noexcept nogil
