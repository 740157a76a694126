from optdriver.geometry.active_set cimport Polyhedron


cdef class Linear:
    cdef public Py_ssize_t n, k, m, q
    cdef public object reals, whole
    cdef double* rows
    cdef double* lower
    cdef double* upper
    cdef double* scale
    cdef Py_ssize_t* moving
    cdef void take(self, object matrix, Py_ssize_t first, Py_ssize_t count, double* scale) except *


cdef void fill(Linear s, Polyhedron out, double* c, double* e, double* margin, double softness) noexcept
