/* The Python face of weighted_mean.h, for the module to take up; _kernels.pyi is its manual.
 * Python.h comes first. */
#ifndef EDGENODE_WEIGHTED_MEAN_PYTHON_H
#define EDGENODE_WEIGHTED_MEAN_PYTHON_H

extern PyMethodDef EDGENODE_WEIGHTED_MEAN_METHODS[];

#endif
