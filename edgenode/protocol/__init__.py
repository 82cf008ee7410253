"""The gossip protocol as state machines: datagrams and times in, datagrams and events out."""
