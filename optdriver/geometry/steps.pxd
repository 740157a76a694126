cdef double one_step(Py_ssize_t code, double a, double b) noexcept nogil
cdef void carry_out(Py_ssize_t* steps, double* registers, Py_ssize_t first, Py_ssize_t count) noexcept nogil
