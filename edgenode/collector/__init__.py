"""The collector: Bluetooth LE sensors in, samples on disk out.

Only `bluez` and `bumble` touch a radio; the decoders, the sequence tracking and the state of each
sensor are pure and take their clock as an argument.
"""
