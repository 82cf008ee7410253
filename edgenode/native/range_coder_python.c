#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "range_coder_python.h"

#include "range_coder.h"

static bool are_numbers(const Py_buffer *view)
{
    if (view->len % sizeof(int32_t) == 0)
        return true;
    PyErr_Format(PyExc_ValueError, "numbers of %zd bytes: each has 4", view->len);
    return false;
}

static bool are_steps(int steps)
{
    if (EDGENODE_RANGE_STEPS_MIN <= steps && steps <= EDGENODE_RANGE_STEPS_MAX)
        return true;
    PyErr_Format(PyExc_ValueError, "%d steps, not %d to %d", steps, EDGENODE_RANGE_STEPS_MIN,
                 EDGENODE_RANGE_STEPS_MAX);
    return false;
}

static bool is_room(Py_ssize_t room)
{
    if (room >= 0)
        return true;
    PyErr_SetString(PyExc_ValueError, "room for fewer than no bytes");
    return false;
}

static PyObject *range_encode(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer numbers;
    int steps;
    Py_ssize_t room;
    if (!PyArg_ParseTuple(args, "y*in:range_encode", &numbers, &steps, &room))
        return NULL;
    PyObject *result = NULL;
    if (are_numbers(&numbers) && are_steps(steps) && is_room(room)) {
        uint8_t *coded = PyMem_Malloc(room > 0 ? (size_t)room : 1);
        if (coded == NULL) {
            PyErr_NoMemory();
        } else {
            size_t length = 0;
            bool fits;
            Py_BEGIN_ALLOW_THREADS
            fits = edgenode_range_encode(numbers.buf, (size_t)numbers.len / sizeof(int32_t), steps,
                                         coded, (size_t)room, &length);
            Py_END_ALLOW_THREADS
            result = fits ? PyBytes_FromStringAndSize((const char *)coded, (Py_ssize_t)length)
                          : Py_NewRef(Py_None);
            PyMem_Free(coded);
        }
    }
    PyBuffer_Release(&numbers);
    return result;
}

static PyObject *range_decode(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer coded, numbers;
    int steps;
    if (!PyArg_ParseTuple(args, "y*iw*:range_decode", &coded, &steps, &numbers))
        return NULL;
    PyObject *result = NULL;
    if (are_numbers(&numbers) && are_steps(steps)) {
        bool good;
        Py_BEGIN_ALLOW_THREADS
        good = edgenode_range_decode(coded.buf, (size_t)coded.len, steps, numbers.buf,
                                     (size_t)numbers.len / sizeof(int32_t));
        Py_END_ALLOW_THREADS
        result = PyBool_FromLong(good);
    }
    PyBuffer_Release(&coded);
    PyBuffer_Release(&numbers);
    return result;
}

PyMethodDef EDGENODE_RANGE_CODER_METHODS[] = {
    {"range_encode", range_encode, METH_VARARGS, "Codes numbers; None where they do not fit."},
    {"range_decode", range_decode, METH_VARARGS, "The inverse; whether the bytes are such a code."},
    {NULL, NULL, 0, NULL},
};
