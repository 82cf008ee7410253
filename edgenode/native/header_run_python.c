#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "header_run_python.h"

#include <string.h>

#include "header_run.h"
#include "whole_number.h"

static bool is_number(const char *name, const Py_buffer *view)
{
    if (view->len == EDGENODE_RUN_HASH_BYTES)
        return true;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %d", name, view->len,
                 EDGENODE_RUN_HASH_BYTES);
    return false;
}

/* A number above 0. */
static bool is_target(const char *name, const Py_buffer *view)
{
    static const uint8_t zero[EDGENODE_RUN_HASH_BYTES];
    if (!is_number(name, view))
        return false;
    if (memcmp(view->buf, zero, sizeof zero) != 0)
        return true;
    PyErr_Format(PyExc_ValueError, "%s is 0", name);
    return false;
}

static bool are_headers(const Py_buffer *view)
{
    if (view->len % EDGENODE_RUN_HEADER_BYTES == 0)
        return true;
    PyErr_Format(PyExc_ValueError, "headers of %zd bytes: each has %d", view->len,
                 EDGENODE_RUN_HEADER_BYTES);
    return false;
}

static PyObject *header_ids(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer headers;
    if (!PyArg_ParseTuple(args, "y*:header_ids", &headers))
        return NULL;
    PyObject *ids = NULL;
    if (are_headers(&headers)) {
        Py_ssize_t count = headers.len / EDGENODE_RUN_HEADER_BYTES;
        ids = PyBytes_FromStringAndSize(NULL, count * EDGENODE_RUN_HASH_BYTES);
        if (ids != NULL) {
            uint8_t *out = (uint8_t *)PyBytes_AsString(ids);
            Py_BEGIN_ALLOW_THREADS
            edgenode_header_ids(headers.buf, (size_t)count, out);
            Py_END_ALLOW_THREADS
        }
    }
    PyBuffer_Release(&headers);
    return ids;
}

static PyObject *total_work(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer headers;
    if (!PyArg_ParseTuple(args, "y*:total_work", &headers))
        return NULL;
    PyObject *result = NULL;
    if (are_headers(&headers)) {
        uint8_t work[EDGENODE_RUN_HASH_BYTES];
        size_t count = (size_t)headers.len / EDGENODE_RUN_HEADER_BYTES;
        if (edgenode_total_work(headers.buf, count, work))
            result = PyBytes_FromStringAndSize((const char *)work, sizeof work);
        else
            PyErr_SetString(PyExc_ValueError,
                            "a target is not in compact form, or the work exceeds 256 bits");
    }
    PyBuffer_Release(&headers);
    return result;
}

static PyObject *asert(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer anchor, limit;
    long long seconds;
    unsigned long long half_life;
    if (!PyArg_ParseTuple(args, "y*y*LO&:asert", &anchor, &limit, &seconds, edgenode_whole_number,
                          &half_life))
        return NULL;
    PyObject *result = NULL;
    if (is_target("anchor", &anchor) && is_target("limit", &limit)) {
        if (half_life < 1 || half_life > UINT32_MAX || seconds <= -(1LL << 46)
            || seconds >= 1LL << 46) {
            PyErr_SetString(PyExc_ValueError, "half_life or seconds are out of range");
        } else {
            uint8_t target[EDGENODE_RUN_HASH_BYTES];
            edgenode_asert(anchor.buf, limit.buf, seconds, (uint32_t)half_life, target);
            result = PyBytes_FromStringAndSize((const char *)target, sizeof target);
        }
    }
    PyBuffer_Release(&anchor);
    PyBuffer_Release(&limit);
    return result;
}

/* Reads the parent's place; false with an exception if it is none. */
static bool read_parent(const Py_buffer *id, const Py_buffer *times, unsigned long long target,
                        int genesis, struct edgenode_run_parent *parent)
{
    if (!is_number("parent", id))
        return false;
    parent->known = (size_t)times->len / sizeof parent->times[0];
    if ((size_t)times->len != parent->known * sizeof parent->times[0]
        || parent->known > EDGENODE_MEDIAN_TIMES || parent->known < (genesis ? 1 : 2)
        || target > UINT32_MAX || !edgenode_is_target((uint32_t)target)) {
        PyErr_SetString(PyExc_ValueError, "times or target of the parent are out of range");
        return false;
    }
    memcpy(parent->id, id->buf, sizeof parent->id);
    memcpy(parent->times, times->buf, (size_t)times->len);
    parent->target = (uint32_t)target;
    parent->genesis = genesis != 0;
    return true;
}

enum { FIRST_TARGET, SPACING, HALF_LIFE, LONGEST_STEP, BEHIND, CONSTANTS };

static bool read_rules(const Py_buffer *limit, const unsigned long long constants[CONSTANTS],
                       unsigned long long latest, struct edgenode_run_rules *rules)
{
    if (!is_number("limit", limit))
        return false;
    for (int i = 0; i < CONSTANTS; i++) {
        if (constants[i] > UINT32_MAX || (i == HALF_LIFE && constants[i] == 0)) {
            PyErr_SetString(PyExc_ValueError, "a constant of genesis is out of range");
            return false;
        }
    }
    memcpy(rules->limit, limit->buf, sizeof rules->limit);
    rules->first_target = (uint32_t)constants[FIRST_TARGET];
    rules->spacing = (uint32_t)constants[SPACING];
    rules->half_life = (uint32_t)constants[HALF_LIFE];
    rules->longest_step = (uint32_t)constants[LONGEST_STEP];
    rules->behind = (uint32_t)constants[BEHIND];
    rules->latest = latest;
    return true;
}

static PyObject *check_run(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer limit, id, times, headers;
    unsigned long long constants[CONSTANTS], target, latest;
    int genesis;
    if (!PyArg_ParseTuple(args, "(y*O&O&O&O&O&)O&(y*y*O&p)y*:check_run", &limit,
                          edgenode_whole_number, &constants[FIRST_TARGET],
                          edgenode_whole_number, &constants[SPACING],
                          edgenode_whole_number, &constants[HALF_LIFE],
                          edgenode_whole_number, &constants[LONGEST_STEP],
                          edgenode_whole_number, &constants[BEHIND],
                          edgenode_whole_number, &latest, &id, &times,
                          edgenode_whole_number, &target, &genesis, &headers))
        return NULL;
    PyObject *result = NULL;
    struct edgenode_run_rules rules;
    struct edgenode_run_parent parent;
    if (are_headers(&headers)
        && read_rules(&limit, constants, latest, &rules)
        && read_parent(&id, &times, target, genesis, &parent)) {
        size_t count = (size_t)headers.len / EDGENODE_RUN_HEADER_BYTES, good = 0;
        PyObject *ids =
            PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count * EDGENODE_RUN_HASH_BYTES);
        if (ids != NULL) {
            enum edgenode_violation violation;
            uint8_t *out = (uint8_t *)PyBytes_AsString(ids);
            Py_BEGIN_ALLOW_THREADS
            good = edgenode_check_run(&rules, &parent, headers.buf, count, out, &violation);
            Py_END_ALLOW_THREADS
            /* Beyond the good ones the ids were not written. */
            PyObject *written = PyBytes_FromStringAndSize(
                PyBytes_AsString(ids), (Py_ssize_t)good * EDGENODE_RUN_HASH_BYTES);
            if (written != NULL)
                result = Py_BuildValue("(iN)", (int)violation, written);
            Py_DECREF(ids);
        }
    }
    PyBuffer_Release(&limit);
    PyBuffer_Release(&id);
    PyBuffer_Release(&times);
    PyBuffer_Release(&headers);
    return result;
}

PyMethodDef EDGENODE_HEADER_RUN_METHODS[] = {
    {"header_ids", header_ids, METH_VARARGS, "SHA-256(SHA-256(header)) of each header."},
    {"total_work", total_work, METH_VARARGS, "The sum of the headers' work."},
    {"asert", asert, METH_VARARGS, "The target that ASERT gives."},
    {"check_run", check_run, METH_VARARGS, "Checks consecutive headers."},
    {NULL, NULL, 0, NULL},
};
