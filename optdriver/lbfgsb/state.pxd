# State and Scratch as the compiler sees them.

cdef class State:
    cdef public Py_ssize_t n, m
    cdef public Py_ssize_t phase, stop, k, head, nit, nfev
    cdef public Py_ssize_t nfail, failures, nskip, nreset, constrained, boxed
    cdef public Py_ssize_t maxfun, maxiter, maxls, trials, bracketed, stage
    cdef public Py_ssize_t single, hampered, cautious, doubts
    cdef public Py_ssize_t beside, left
    cdef public double ftol, gtol, initial_step, noise, f, theta
    cdef public double pgnorm, f0, slope0, stp, stpmax, stx
    cdef public double fx, gx, sty, fy, gy, stmin
    cdef public double stmax, width, width1, best_f, best_stp, f_start
    cdef public double unit
    cdef public object reals, integers
    cdef object _arrays
    cdef double* l
    cdef double* u
    cdef double* x
    cdef double* g
    cdef double* d
    cdef double* z
    cdef double* xt
    cdef double* gt
    cdef double* xb
    cdef double* gb
    cdef double* xs
    cdef double* w
    cdef double* ss
    cdef double* lt
    cdef double* zyy
    cdef double* zc
    cdef double* ass
    cdef double* dd
    cdef Py_ssize_t* where
    cdef Py_ssize_t* free
    cpdef _bind(self)


cdef class Scratch:
    cdef public Py_ssize_t n, m, moving, nfree
    cdef public double time
    cdef public object reals, integers
    cdef double* t
    cdef double* r
    cdef double* s
    cdef double* y
    cdef double* p
    cdef double* c
    cdef double* v
    cdef double* mv
    cdef double* row
    cdef double* a
    cdef double* b
    cdef double* di
    cdef double* jt
    cdef double* k11
    cdef double* k12
    cdef double* k22
    cdef double* sums
    cdef Py_ssize_t* order
    cdef Py_ssize_t* index
    cpdef _bind(self)


cdef double* numbers(object block) except NULL
cdef double* reading(object block) except NULL
cdef bint is_contiguous(object array) except? False
cdef Py_ssize_t* integers(object block) except NULL
cdef double* cut(double* block, Py_ssize_t first, Py_ssize_t size) noexcept nogil
cdef Py_ssize_t* cut_integers(Py_ssize_t* block, Py_ssize_t first, Py_ssize_t size) noexcept
