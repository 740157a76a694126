cdef class Program:
    cdef public Py_ssize_t size, first, count, groups, width
    cdef public object registers, whole
    cdef double* cells
    cdef Py_ssize_t* kinds
    cdef Py_ssize_t* steps
    cdef Py_ssize_t* outputs


cdef double one_step(Py_ssize_t code, double a, double b) noexcept nogil
cdef double distance(double a, double b) noexcept with gil
cdef double tamed(double a) noexcept nogil
cdef double* room(Program p) except? NULL
cdef void carry_out(Program p, double* x) noexcept nogil
cdef void run(Program p, double* x, double* registers, double* out) noexcept
cdef void run_entered(Program p, double* registers, double* out) noexcept
