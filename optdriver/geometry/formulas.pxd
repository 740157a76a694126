from optdriver.geometry.steps cimport Program


cdef class System:
    cdef public Py_ssize_t n, k
    cdef public Program values, slopes, bends
    cdef public object whole
    cdef Py_ssize_t* slope_rows
    cdef Py_ssize_t* slope_columns
    cdef Py_ssize_t* bend_rows
    cdef Py_ssize_t* bend_columns


cdef class Formulas:
    cdef public Py_ssize_t n, k
    cdef public System system
    cdef public object reals, whole, registers
    cdef double* base
    cdef double* step
    cdef double* low
    cdef double* high
    cdef double* left
    cdef double* right
    cdef double* weight
    cdef double* x
    cdef double* raw
    cdef double* slopes
    cdef double* bends
    cdef double* for_values
    cdef double* for_slopes
    cdef double* for_bends
    cdef Py_ssize_t* place
    cdef Py_ssize_t* row


cdef object enter(double* registers, object x, object unit, Py_ssize_t n)
cdef void scale_columns(double* a, double* unit, Py_ssize_t k, Py_ssize_t n) noexcept
cdef void scale_rows(double* a, double* weight, Py_ssize_t k, Py_ssize_t n) noexcept
cdef void mirror_lower(double* a, Py_ssize_t n) noexcept
cdef void locate(Formulas s, double* t) noexcept
cdef void fill_values(Formulas s, double* t, double* out) noexcept
cdef bint fill_slopes(Formulas s, double* t, double* out, Py_ssize_t n) noexcept
cdef bint add_bends(Formulas s, double* t, double* multipliers, double* out, Py_ssize_t n) noexcept
