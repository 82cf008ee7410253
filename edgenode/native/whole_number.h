/* A converter for PyArg_ParseTuple ("O&"): its own formats for unsigned numbers wrap silently. */
#ifndef EDGENODE_WHOLE_NUMBER_H
#define EDGENODE_WHOLE_NUMBER_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Writes an unsigned long long; ValueError for what is below 0 or at 2^64 and above. */
static inline int edgenode_whole_number(PyObject *value, void *number)
{
    unsigned long long read = PyLong_AsUnsignedLongLong(value);
    if (read == (unsigned long long)-1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_SetString(PyExc_ValueError, "a number is below 0 or has more than 64 bits");
        return 0;
    }
    *(unsigned long long *)number = read;
    return 1;
}

#endif
