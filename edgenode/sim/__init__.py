"""A ward in one process: the nodes' own state machines, a virtual clock and a bad network."""
