"""C kernels and the headers that are their manuals."""
