"""Tests of the harness that boots the appliance in QEMU."""
