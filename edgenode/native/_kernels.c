/* The Python face of sha256d.h and kernels.h; _kernels.pyi is its manual. */
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "header_run_python.h"
#include "kernels.h"
#include "range_coder_python.h"
#include "weighted_mean_python.h"
#include "whole_number.h"

/* Asked once: a question to the processor may cost microseconds under a hypervisor. */
static bool runs_here[EDGENODE_KERNELS];

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

static PyObject *kernels(PyObject *module, PyObject *args)
{
    (void)module;
    (void)args;
    PyObject *all = PyTuple_New(EDGENODE_KERNELS);
    for (int i = 0; all != NULL && i < EDGENODE_KERNELS; i++) {
        const edgenode_kernel *kernel = &edgenode_kernels[i];
        PyObject *item = Py_BuildValue("siN", kernel->name, kernel->lanes,
                                       PyBool_FromLong(runs_here[i]));
        if (item == NULL || PyTuple_SetItem(all, i, item) < 0)
            Py_CLEAR(all);
    }
    return all;
}

/* The kernel of that name; NULL, with an exception, where there is none or it does not run. */
static const edgenode_kernel *kernel_named(const char *name)
{
    for (int i = 0; i < EDGENODE_KERNELS; i++) {
        if (strcmp(edgenode_kernels[i].name, name) == 0) {
            if (runs_here[i])
                return &edgenode_kernels[i];
            PyErr_Format(PyExc_ValueError, "this machine cannot run the kernel %s", name);
            return NULL;
        }
    }
    PyErr_Format(PyExc_ValueError, "there is no kernel %s", name);
    return NULL;
}

static PyObject *search(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer header, target;
    unsigned long long first, count;
    const char *name = edgenode_kernels[0].name;
    if (!PyArg_ParseTuple(args, "y*y*O&O&|s:search", &header, &target, edgenode_whole_number,
                          &first, edgenode_whole_number, &count, &name))
        return NULL;
    PyObject *result = NULL;
    if (has_length("header", &header, EDGENODE_HEADER_BYTES)
        && has_length("target", &target, EDGENODE_HASH_BYTES)) {
        const edgenode_kernel *kernel = kernel_named(name);
        if (first > UINT32_MAX) {
            PyErr_SetString(PyExc_ValueError, "the first nonce does not fit 32 bits");
        } else if (kernel != NULL) {
            uint32_t nonce = 0;
            bool found;
            Py_BEGIN_ALLOW_THREADS
            found = edgenode_search(kernel, header.buf, target.buf, (uint32_t)first, count,
                                    &nonce);
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
    {"kernels", kernels, METH_NOARGS, "Each kernel's name, lanes, and whether it runs here."},
    {"search", search, METH_VARARGS, "The lowest of `count` nonces that meets the target, or None."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_kernels", "What is too slow in Python.", 0, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    for (int i = 0; i < EDGENODE_KERNELS; i++)
        runs_here[i] = edgenode_kernels[i].runs_here();
    PyObject *module = PyModule_Create(&MODULE);
    if (module != NULL
        && (PyModule_AddFunctions(module, EDGENODE_HEADER_RUN_METHODS) < 0
            || PyModule_AddFunctions(module, EDGENODE_RANGE_CODER_METHODS) < 0
            || PyModule_AddFunctions(module, EDGENODE_WEIGHTED_MEAN_METHODS) < 0))
        Py_CLEAR(module);
    return module;
}
