"""Boots the appliance's image in QEMU, for people and for tests: machines, wards, power cuts."""
