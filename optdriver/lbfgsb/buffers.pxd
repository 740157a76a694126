# Where the numbers of an array lie.  An address outlives the buffer that it was asked of as long as
# the array does: nobody resizes one.  A memory view would say the same and costs ten times more.

from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)


cdef inline double* floats(object block, bint flat) except NULL:
    # `flat` ones are of one axis, and can be written to.
    cdef Py_buffer view
    PyObject_GetBuffer(block, &view, PyBUF_ND | PyBUF_FORMAT | (PyBUF_WRITABLE if flat else 0))
    cdef bint fits = view.format[0] == b"d" and (view.ndim == 1 or not flat)
    cdef double* where = <double*> view.buf
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError("an array of float64 is expected, of one axis if it is written to")
    return where


cdef inline Py_ssize_t* indices(object block) except NULL:
    cdef Py_buffer view
    PyObject_GetBuffer(block, &view, PyBUF_ND | PyBUF_FORMAT | PyBUF_WRITABLE)
    cdef bint fits = view.ndim == 1 and view.itemsize == sizeof(Py_ssize_t)
    fits = fits and view.format[0] in b"lqni"
    cdef Py_ssize_t* where = <Py_ssize_t*> view.buf
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError("an array of intp is expected, of one axis")
    return where


cdef inline bint contiguous(object block) except? False:
    # Whether the numbers lie one after the other, row by row, and are float64.
    cdef Py_buffer view
    try:
        PyObject_GetBuffer(block, &view, PyBUF_ND | PyBUF_FORMAT)
    except (BufferError, ValueError):
        return False
    cdef bint fits = view.format[0] == b"d"
    PyBuffer_Release(&view)
    return fits
