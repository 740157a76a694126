cdef bint finite(double a) noexcept nogil
cdef double clamp(double a, double low, double high) noexcept nogil
cdef double ratio(double a, double b) noexcept nogil
cdef double dot(double* x, double* y, Py_ssize_t n) noexcept nogil
cdef void copy(double* x, double* y, Py_ssize_t n) noexcept nogil
cdef void zero(double* x, Py_ssize_t n) noexcept nogil
cdef void subtract(double* x, double* y, double* z, Py_ssize_t n) noexcept nogil
cdef void scale(double* x, double a, double* y, Py_ssize_t n) noexcept nogil
cdef bint all_finite(double* x, Py_ssize_t n) noexcept nogil
cdef bint cholesky(double* a, Py_ssize_t n, Py_ssize_t m) noexcept nogil
cdef void take_four(
    double p, double q, double r, double s,
    double* a, Py_ssize_t rows, Py_ssize_t to, Py_ssize_t n, Py_ssize_t m
) noexcept nogil
cdef void solve_transposed(double* a, double* b, Py_ssize_t n, Py_ssize_t m) noexcept nogil
cdef void solve(double* a, double* b, Py_ssize_t n, Py_ssize_t m) noexcept nogil
