cdef bint finite(double a) noexcept nogil
cdef double clamp(double a, double low, double high) noexcept nogil
cdef double ratio(double a, double b) noexcept nogil
cdef double dot(double[::1] x, double[::1] y, Py_ssize_t n) noexcept nogil
cdef void copy(double[::1] x, double[::1] y, Py_ssize_t n) noexcept nogil
cdef void zero(double[::1] x, Py_ssize_t n) noexcept nogil
cdef void subtract(double[::1] x, double[::1] y, double[::1] z, Py_ssize_t n) noexcept nogil
cdef void scale(double[::1] x, double a, double[::1] y, Py_ssize_t n) noexcept nogil
cdef bint all_finite(double[::1] x, Py_ssize_t n) noexcept nogil
cdef bint cholesky(double[:, ::1] a, Py_ssize_t n) noexcept nogil
cdef void solve_lower(double[:, ::1] a, double[::1] b, Py_ssize_t n, Py_ssize_t first) noexcept nogil
cdef void solve_lower_transposed(double[:, ::1] a, double[::1] b, Py_ssize_t n, Py_ssize_t first) noexcept nogil
