cdef class Program:
    cdef public Py_ssize_t size, first, count, width
    cdef public object registers, whole
    cdef Py_ssize_t* steps
    cdef Py_ssize_t* outputs


cdef double one_step(Py_ssize_t code, double a, double b) noexcept nogil
cdef double distance(double a, double b) noexcept with gil
cdef double tamed(double a) noexcept nogil
cdef void carry_out(Py_ssize_t* steps, double* registers, Py_ssize_t first, Py_ssize_t count) noexcept nogil
cdef void run(Program p, double* x, double* registers, double* out) noexcept
cdef void run_entered(Program p, double* registers, double* out) noexcept
