from optdriver.geometry.subproblem cimport Point, Subproblem


cdef class Step:
    cdef public double curvature
    cdef public object reals
    cdef double* t
    cdef double* zl
    cdef double* zu
    cdef double* s
    cdef double* lam
    cdef double* nu


cdef class Factor:
    cdef public Py_ssize_t rank
    cdef public double raised
    cdef public object reals, whole
    cdef double* matrix
    cdef double* reduced
    cdef double* upper
    cdef double* weights
    cdef double* right
    cdef double* rest
    cdef double* basis
    cdef double* product
    cdef double* lower
    cdef double* vectors
    cdef double* beta
    cdef Py_ssize_t* order


cdef bint factorise(Factor f, Subproblem s, Point p, double* slopes, double last) except? False
cdef void reduce(Factor f, Subproblem s, double* slopes) noexcept
cdef void solve_reduced(Factor f, double* b, Py_ssize_t n) noexcept
cdef void newton(Factor f, Subproblem s, Point p, double* slopes, double mu, double* residual, Step out) noexcept
cdef void split(Factor f, Subproblem s, Point p, double* slopes, double* residual, Step out) noexcept
