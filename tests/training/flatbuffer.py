"""Enough of the TensorFlow Lite file format to list a file's operators.

From the public schema (tensorflow/lite/schema/schema.fbs): Model.operator_codes is field 1, and of
an OperatorCode, deprecated_builtin_code is field 0 (int8), custom_code field 1 (string) and
builtin_code field 3 (int32). BuiltinOperator.CUSTOM is 32.
"""

import struct

CUSTOM = 32


def _table_field(data, table, field):
    """Offset of a table's field, or None where it has its default."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    slot = 4 + 2 * field
    if slot >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + slot)[0]
    return table + offset if offset else None


def _follow(data, at):
    return at + struct.unpack_from("<I", data, at)[0]


def operators(data):
    """Pairs of builtin code and custom name (or None) of every operator that a file uses."""
    model = _follow(data, 0)
    vector = _follow(data, _table_field(data, model, 1))
    count = struct.unpack_from("<I", data, vector)[0]
    found = []
    for n in range(count):
        code = _follow(data, vector + 4 + 4 * n)
        old, new = _table_field(data, code, 0), _table_field(data, code, 3)
        builtin = max(
            struct.unpack_from("<b", data, old)[0] if old else 0,
            struct.unpack_from("<i", data, new)[0] if new else 0,
        )
        name = _table_field(data, code, 1)
        if name is not None:
            text = _follow(data, name)
            size = struct.unpack_from("<I", data, text)[0]
            name = data[text + 4 : text + 4 + size].decode()
        found.append((builtin, name))
    return found
