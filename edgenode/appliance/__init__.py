"""What makes a box of a Linux system: its settings, which slot it starts, whether it is healthy."""
