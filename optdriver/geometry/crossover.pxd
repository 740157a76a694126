from optdriver.geometry.factors cimport LeastSquares
from optdriver.geometry.interior cimport Run


cdef class Face:
    cdef public Py_ssize_t k, size, held
    cdef public object whole
    cdef public LeastSquares system
    cdef public bint factored, singular
    cdef Py_ssize_t* moving
    cdef Py_ssize_t* active


cdef double newton(Run r, Face face) except? -1.0
cdef void fill(Run r, Face face) noexcept
cdef bint eliminate(Run r, Face face) except? False
cdef double chord(Run r, Face face) except? -1.0
cdef bint is_better(Run r, Face face) except? False
