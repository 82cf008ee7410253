"""Builds what is flashed: one Debian root file system, and from it an image for each board."""
