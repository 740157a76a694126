# Whether this is a free-threaded CPython, where no lock of the interpreter keeps threads apart.

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define OPTDRIVER_FREE_THREADED 1
    #else
    #define OPTDRIVER_FREE_THREADED 0
    #endif
    """
    const bint FREE_THREADED "OPTDRIVER_FREE_THREADED"
