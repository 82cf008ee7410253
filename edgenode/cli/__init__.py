"""The `edgenode` command: a node seen and set up from a terminal."""
