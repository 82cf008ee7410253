#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "weighted_mean_python.h"

#include <stdalign.h>
#include <stdbool.h>

#include "weighted_mean.h"

static bool are_sums(const Py_buffer *view)
{
    if (view->len % sizeof(int64_t) == 0 && (uintptr_t)view->buf % alignof(int64_t) == 0)
        return true;
    PyErr_SetString(PyExc_ValueError, "the sums are no aligned 64-bit integers");
    return false;
}

static bool has_numbers(const char *name, const Py_buffer *view, size_t count)
{
    if ((size_t)view->len == count * sizeof(int32_t))
        return true;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not the 4 of each of %zu numbers", name,
                 view->len, count);
    return false;
}

static bool is_weight(long long weight, long long lowest)
{
    if (lowest <= weight && weight <= INT32_MAX)
        return true;
    PyErr_Format(PyExc_ValueError, "a weight is %lld to %ld, not %lld", lowest, (long)INT32_MAX,
                 weight);
    return false;
}

enum { AT_ONCE = 16 };

/* Reads (numbers, weight) of each pair and holds the numbers' buffers, of which there are *held
 * afterwards, also if this returns false with an exception. */
static bool read_updates(PyObject *pairs, size_t count, Py_buffer *buffers,
                         edgenode_weighted *updates, Py_ssize_t *held)
{
    const Py_ssize_t given = PyTuple_Size(pairs);
    if (given > AT_ONCE) {
        PyErr_Format(PyExc_ValueError, "%zd updates at once, not up to %d", given, AT_ONCE);
        return false;
    }
    for (*held = 0; *held < given;) {
        Py_buffer *numbers = &buffers[*held];
        long long weight;
        PyObject *pair = PyTuple_GetItem(pairs, *held);
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "an update is a tuple of numbers and weight");
            return false;
        }
        if (!PyArg_ParseTuple(pair, "y*L:add_weighted", numbers, &weight))
            return false;
        updates[(*held)++] = (edgenode_weighted){numbers->buf, (uint32_t)weight};
        if (!has_numbers("numbers", numbers, count) || !is_weight(weight, 0))
            return false;
    }
    return true;
}

static PyObject *add_weighted(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer sums, buffers[AT_ONCE];
    edgenode_weighted updates[AT_ONCE];
    PyObject *pairs;
    Py_ssize_t held = 0;
    if (!PyArg_ParseTuple(args, "w*O!:add_weighted", &sums, &PyTuple_Type, &pairs))
        return NULL;
    const size_t count = (size_t)sums.len / sizeof(int64_t);
    const bool good = are_sums(&sums) && read_updates(pairs, count, buffers, updates, &held);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        edgenode_add_weighted(sums.buf, count, updates, (size_t)held);
        Py_END_ALLOW_THREADS
    }
    while (held > 0)
        PyBuffer_Release(&buffers[--held]);
    PyBuffer_Release(&sums);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *move_by_mean(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer current, sums, moved;
    long long weight;
    if (!PyArg_ParseTuple(args, "y*y*Lw*:move_by_mean", &current, &sums, &weight, &moved))
        return NULL;
    const size_t count = (size_t)sums.len / sizeof(int64_t);
    const bool good = are_sums(&sums) && has_numbers("current", &current, count)
                      && has_numbers("moved", &moved, count) && is_weight(weight, 1);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        edgenode_move_by_mean(current.buf, sums.buf, count, (uint32_t)weight, moved.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&current);
    PyBuffer_Release(&sums);
    PyBuffer_Release(&moved);
    return good ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef EDGENODE_WEIGHTED_MEAN_METHODS[] = {
    {"add_weighted", add_weighted, METH_VARARGS, "Adds numbers times their weights to sums."},
    {"move_by_mean", move_by_mean, METH_VARARGS, "Adds sums divided by their weight to numbers."},
    {NULL, NULL, 0, NULL},
};
