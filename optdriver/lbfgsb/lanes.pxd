from optdriver.lbfgsb.state cimport Scratch, State

# `advance_lane` with bare pointers for its objects: one can be had without the interpreter's lock.
ctypedef void (*step_t)(void* s, void* q, double f, double* g, double* x) noexcept nogil

cdef double* readable(object block) except NULL
cdef void advance_lane(State s, Scratch q, double f, double* g, double* x) noexcept nogil
