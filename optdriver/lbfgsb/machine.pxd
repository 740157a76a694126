from optdriver.lbfgsb.state cimport Scratch, State

cdef Scratch _shared

cdef Scratch small_scratch(State s)

cpdef advance(State s, double f)
cpdef advance_failure(State s)
cpdef halt(State s)
cdef void finish(State s, Py_ssize_t stop) noexcept nogil
cdef void take(State s, Scratch q, double f) noexcept nogil
cdef void watch_precision(State s, double f) noexcept nogil
cdef void keep_best(State s, double f) noexcept nogil
cdef void take_failure(State s, Scratch q) noexcept nogil
cdef void take_start(State s, Scratch q, double f) noexcept nogil
cdef void look_beside(State s) noexcept nogil
cdef Py_ssize_t the_end(State s) noexcept nogil
cdef void take_beside(State s, Scratch q, double f) noexcept nogil
cdef bint may_drift(State s) noexcept nogil
cdef bint may_turn(State s) noexcept nogil
cdef bint stands(State s) noexcept nogil
cdef bint falls_beside(State s) noexcept nogil
cdef void end_beside(State s, Scratch q) noexcept nogil
cdef void leave(State s, Scratch q, double f) noexcept nogil
cdef void move(State s, double f) noexcept nogil
cdef void follow(State s, Scratch q, Py_ssize_t verdict, double f) noexcept nogil
cdef void back_to_best(State s) noexcept nogil
cdef void start_over(State s, Scratch q) noexcept nogil
cdef void doubt(State s, Scratch q, Py_ssize_t passed, double taken, double gained) noexcept nogil
cdef bint contradicted(State s) noexcept nogil
cdef bint looks(State s) noexcept nogil
cdef bint doubted(State s) noexcept nogil
cdef bint follows(State s, double gained) noexcept nogil
cdef bint speeds_up(State s, double gained, bint dropped) noexcept nogil
cdef bint looks_again(State s, double taken, bint certain) noexcept nogil
cdef void by_size(State s) noexcept nogil
cdef bint promises_nothing(State s, double foreseen) noexcept nogil
cdef void accept(State s, Scratch q, double f, double least) noexcept nogil
cdef Py_ssize_t passed_by_best(State s, Py_ssize_t stop, double before) noexcept nogil
cdef void set_out(State s, Scratch q) noexcept nogil
cdef bint find_direction(State s, Scratch q) noexcept nogil
