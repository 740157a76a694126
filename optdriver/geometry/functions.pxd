cdef double value(Py_ssize_t code, double a) noexcept nogil
cdef double raised(double a, double b) noexcept nogil
cdef void fill(Py_ssize_t code, double* x, double* out, Py_ssize_t n) noexcept nogil
cdef void fill_powers(double* x, double* y, double* out, Py_ssize_t n) noexcept nogil
