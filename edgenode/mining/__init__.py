"""Mining: the search for a nonce, as a plan without I/O and as threads that carry it out."""
