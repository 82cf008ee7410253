/* The Python face of header_run.h, for the module to take up; _kernels.pyi is its manual.
 * Python.h comes first. */
#ifndef EDGENODE_HEADER_RUN_PYTHON_H
#define EDGENODE_HEADER_RUN_PYTHON_H

extern PyMethodDef EDGENODE_HEADER_RUN_METHODS[];

#endif
