cdef void apply(double* v, double* signs, Py_ssize_t k, double theta, double* s, Py_ssize_t a, double* out, Py_ssize_t n) noexcept nogil
cdef void put(double* x, double factor, double sign, double* v, double* signs, Py_ssize_t k, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t rank_one(double* s, double* y, double theta, double* v, double* signs, double* r, Py_ssize_t pairs, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t damped(double* s, double* y, double theta, double* v, double* signs, double* r, double* z, Py_ssize_t pairs, Py_ssize_t n) noexcept nogil
cdef double low_base(double* s, double* y, double first, Py_ssize_t pairs, Py_ssize_t n) noexcept nogil
cdef double high_base(double* s, double* y, double first, Py_ssize_t pairs, Py_ssize_t n) noexcept nogil
cdef void fill_times(double theta, double* v, double* signs, Py_ssize_t k, double* x, double* out, Py_ssize_t n) noexcept nogil
