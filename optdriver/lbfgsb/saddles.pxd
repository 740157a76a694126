from optdriver.lbfgsb.state cimport Scratch, State

cdef double longest_way(State s) noexcept nogil
cdef double size_of(State s, Py_ssize_t i, double way) noexcept nogil
cdef double same(State s, double size) noexcept nogil
cdef bint is_small_part(State s, double change) noexcept nogil
cdef bint is_level(State s, double slope, double size) noexcept nogil
cdef bint stays(State s, Py_ssize_t i, double way) noexcept nogil
cdef bint slid(State s, Py_ssize_t i) noexcept nogil
cdef bint equal(State s, Py_ssize_t i, Py_ssize_t j, double way) noexcept nogil
cdef Py_ssize_t partner(State s, Py_ssize_t i, double way) noexcept nogil
cdef bint is_odd(Py_ssize_t number) noexcept nogil
cdef double part_of(Py_ssize_t k) noexcept nogil
cdef bint step_aside(State s) noexcept nogil
cdef double aside(State s, Py_ssize_t i, double h, bint down) noexcept nogil
cdef double promised_aside(State s) noexcept nogil
cdef void follow_bends(State s) noexcept nogil
cdef bint has_fallen(State s) noexcept nogil
cdef bint turn_aside(State s, Scratch q, double hidden) noexcept nogil
cdef double slope_aside(State s) noexcept nogil
cdef bint farther_aside(State s) noexcept nogil
cdef bint drift_aside(State s) noexcept nogil
