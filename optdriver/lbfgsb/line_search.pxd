from optdriver.lbfgsb.state cimport State

cdef bint begin(State s) noexcept nogil
cdef void open_interval(State s) noexcept nogil
cdef double longest_step(State s) noexcept nogil
cdef bint place_trial(State s) noexcept nogil
cdef Py_ssize_t judge(State s, double f) noexcept nogil
cdef bint has_room(State s) noexcept nogil
cdef bint retreat(State s) noexcept nogil
cdef bint serves(State s, double f, double slope, double target) noexcept nogil
cdef double noise_level(State s, double f) noexcept nogil
cdef Py_ssize_t settle(State s) noexcept nogil
cdef bint enough(State s) noexcept nogil
cdef Py_ssize_t back_off(State s) noexcept nogil
cdef void refine(State s, double f, double slope, double target) noexcept nogil
cdef void choose_step(State s, double fp, double gp) noexcept nogil
cdef double cubic(double stx, double fx, double gx, double stp, double fp, double gp, bint from_x) noexcept nogil
cdef double case_higher(State s, double fp, double gp) noexcept nogil
cdef double case_opposite(State s, double fp, double gp) noexcept nogil
cdef double case_flatter(State s, double fp, double gp) noexcept nogil
cdef double case_steeper(State s, double fp, double gp) noexcept nogil
