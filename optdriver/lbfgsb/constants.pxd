# The numbers of codes.py, for the compiler.

cdef enum:
    START = 0
    SEARCH = 1
    DONE = 2
    BESIDE = 3

cdef enum:
    RUNNING = 0
    PROJECTED_GRADIENT = 1
    REDUCTION = 2
    MAX_EVALUATIONS = 3
    MAX_ITERATIONS = 4
    ABNORMAL = 5
    FAILED = 6
    HALTED = 7
    UNBOUNDED = 9

cdef enum:
    GO_ON = 0
    ACCEPT = 1
    ACCEPT_BEST = 2
    GIVE_UP = 3

cdef enum:
    LOOKING = 3
    FOLLOWING = 6
    MOST_FOLLOWED = 30
    MOST_BESIDE = 12
    MOST_LEFT = 10
