"""Mining: the search for a nonce, as a plan without I/O and as threads; pools and their miners."""
