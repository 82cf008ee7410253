/* The Python face of sha256d.h; _kernels.pyi is its manual. */
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sha256d.h"

static bool has_length(const char *name, const Py_buffer *view, Py_ssize_t length)
{
    if (view->len == length)
        return true;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd", name, view->len, length);
    return false;
}

static PyObject *sha256d_header(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer header;
    if (!PyArg_ParseTuple(args, "y*:sha256d_header", &header))
        return NULL;
    PyObject *result = NULL;
    if (has_length("header", &header, EDGENODE_HEADER_BYTES)) {
        uint8_t hash[EDGENODE_HASH_BYTES];
        edgenode_sha256d_header(header.buf, hash);
        result = PyBytes_FromStringAndSize((const char *)hash, sizeof hash);
    }
    PyBuffer_Release(&header);
    return result;
}

static PyObject *search(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer header, target;
    unsigned long long first, count;
    if (!PyArg_ParseTuple(args, "y*y*KK:search", &header, &target, &first, &count))
        return NULL;
    PyObject *result = NULL;
    if (has_length("header", &header, EDGENODE_HEADER_BYTES)
        && has_length("target", &target, EDGENODE_HASH_BYTES)) {
        if (first > UINT32_MAX) {
            PyErr_SetString(PyExc_ValueError, "the first nonce does not fit 32 bits");
        } else {
            uint32_t nonce = 0;
            bool found;
            Py_BEGIN_ALLOW_THREADS
            found = edgenode_search(header.buf, target.buf, (uint32_t)first, count, &nonce);
            Py_END_ALLOW_THREADS
            result = found ? PyLong_FromUnsignedLong(nonce) : Py_NewRef(Py_None);
        }
    }
    PyBuffer_Release(&header);
    PyBuffer_Release(&target);
    return result;
}

static PyMethodDef METHODS[] = {
    {"sha256d_header", sha256d_header, METH_VARARGS, "SHA-256(SHA-256(header)) of 80 bytes."},
    {"search", search, METH_VARARGS, "The lowest of `count` nonces that meets the target, or None."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_kernels", "Native proof-of-work kernels.", 0, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModule_Create(&MODULE);
}
