"""The programs that systemd starts, one module each, and the configuration that they share."""
