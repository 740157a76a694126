# State and Scratch as the compiler sees them.

cdef class State:
    cdef public Py_ssize_t n, m
    cdef public Py_ssize_t phase, stop, k, head, nit, nfev
    cdef public Py_ssize_t nfail, failures, nskip, nreset, constrained, boxed
    cdef public Py_ssize_t maxfun, maxiter, maxls, trials, bracketed, stage
    cdef public Py_ssize_t single, hampered
    cdef public double ftol, gtol, initial_step, noise, f, theta
    cdef public double pgnorm, f0, slope0, stp, stpmax, stx
    cdef public double fx, gx, sty, fy, gy, stmin
    cdef public double stmax, width, width1, best_f, best_stp
    cdef public double[::1] l, u, x, g, d, z
    cdef public double[::1] xt, gt, xb, gb
    cdef public Py_ssize_t[::1] where, free
    cdef public double[:, ::1] w, ss, sy, zyy, ass, msy
    cdef public dict arrays


cdef class Scratch:
    cdef public Py_ssize_t n, m, moving, nfree
    cdef public double[::1] t, r, s, y, p, c
    cdef public double[::1] v, mv, row
    cdef public Py_ssize_t[::1] order, index
    cdef public double[:, ::1] sums, jt, ld, k11, k12, k22
