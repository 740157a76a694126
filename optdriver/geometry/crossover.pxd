from optdriver.geometry.factors cimport LeastSquares
from optdriver.geometry.interior cimport Run


cdef class Face:
    cdef public Py_ssize_t k, size, held
    cdef public object whole
    cdef public LeastSquares system
    cdef Py_ssize_t* moving
    cdef Py_ssize_t* active


cdef double newton(Run r, Face face) except? -1.0
cdef bint is_better(Run r, Face face) except? False
