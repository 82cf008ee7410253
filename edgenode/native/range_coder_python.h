/* The Python face of range_coder.h, for the module to take up; _kernels.pyi is its manual.
 * Python.h comes first. */
#ifndef EDGENODE_RANGE_CODER_PYTHON_H
#define EDGENODE_RANGE_CODER_PYTHON_H

extern PyMethodDef EDGENODE_RANGE_CODER_METHODS[];

#endif
