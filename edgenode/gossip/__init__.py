"""The gossip service: the two UDP sockets, the timers and the local API around the ledger."""
