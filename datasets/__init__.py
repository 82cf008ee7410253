"""Data sets: converted at build time, or loaded from a path that the user gives."""
