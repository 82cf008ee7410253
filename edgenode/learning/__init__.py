"""A model's parameters as integers: fixed point, update codecs, aggregation rules."""
