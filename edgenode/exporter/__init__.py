"""The exporter: what the local API knows, as metrics for Prometheus."""
