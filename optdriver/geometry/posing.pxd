# Nothing here is called by other pages of the kernel; what calls itself is declared.
cdef double total(double* x, Py_ssize_t first, Py_ssize_t n) noexcept nogil
