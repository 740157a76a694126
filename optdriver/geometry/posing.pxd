# Nothing here is called by other pages of the kernel.
cdef double total(double* x, Py_ssize_t first, Py_ssize_t n) noexcept nogil
