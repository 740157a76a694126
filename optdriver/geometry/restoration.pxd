cdef object mark(object c, double margin, double* marked, double* margins)
cdef object tighten(object rows, object linear, object point, object values, double aside)
cdef object newton_step(object rows, object linear, object x, object values, object margins, bint slow)
cdef object stretched(object rows, object x, object step, object full, object weights)
