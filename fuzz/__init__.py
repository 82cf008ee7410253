"""Fuzz targets: what each decoder promises of any bytes whatever. `python -m fuzz` runs them."""
