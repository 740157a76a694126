cdef class LeastSquares:
    cdef public Py_ssize_t m, n
    cdef public object reals, whole
    cdef double* columns
    cdef double* vectors
    cdef double* target
    cdef double* x
    cdef double* beta
    cdef double* y
    cdef Py_ssize_t* order


cdef void reflect(double* v, double beta, Py_ssize_t k, double* x, Py_ssize_t a, Py_ssize_t n) noexcept nogil
cdef void triangularise(double* a, double* v, double* beta, Py_ssize_t* order, Py_ssize_t q, Py_ssize_t n, bint pivoting) noexcept nogil
cdef void swap(double* a, Py_ssize_t* order, Py_ssize_t i, Py_ssize_t j, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t rank_of(double* a, Py_ssize_t q, Py_ssize_t n, double least) noexcept nogil
cdef void solve_lower(double* a, double* b, Py_ssize_t r, Py_ssize_t n) noexcept nogil
cdef void solve_upper(double* a, double* b, Py_ssize_t r, Py_ssize_t n) noexcept nogil
cdef bint lower_upper(double* a, Py_ssize_t* order, Py_ssize_t n) noexcept nogil
cdef void take_rows(double* a, Py_ssize_t i, Py_ssize_t first, Py_ssize_t end, Py_ssize_t last, Py_ssize_t n) noexcept nogil
cdef void make_least(LeastSquares w, double tolerance) except *
cdef object shorten(double* rows, double* y, Py_ssize_t r, Py_ssize_t n)
cdef void substitute(double* a, double* b, Py_ssize_t n) noexcept nogil
