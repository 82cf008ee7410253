"""The ledger's rules: bytes in, verdicts out; no sockets, no disk, no clock of its own."""
