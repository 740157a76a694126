cdef double inner(double* x, Py_ssize_t a, double* y, Py_ssize_t b, Py_ssize_t n) noexcept nogil
cdef void add(double w, double* x, Py_ssize_t a, double* y, Py_ssize_t b, Py_ssize_t n) noexcept nogil
cdef void multiply(double* a, double* x, double* out, Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef void multiply_transposed(double* a, double* x, double* out, Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef void multiply_matrices(double* a, double* b, double* out, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n) noexcept nogil
cdef void add_gram(double* a, double* w, double* out, Py_ssize_t m, Py_ssize_t n) noexcept nogil
cdef void mirror(double* a, Py_ssize_t n) noexcept nogil
cdef double add_logs(double* x, Py_ssize_t n) noexcept nogil
cdef double length(double* x, Py_ssize_t a, Py_ssize_t n) noexcept nogil
cdef double size(double* x, Py_ssize_t a, Py_ssize_t n) noexcept nogil
cdef object put(object given, double* out, Py_ssize_t first)
cdef double peak(double* x, Py_ssize_t n) noexcept nogil
cdef double extent(double x, double width, double narrow) noexcept nogil
