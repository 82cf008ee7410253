"""Storage: the only room that knows SQL. Everything acknowledged here survives a power cut."""
