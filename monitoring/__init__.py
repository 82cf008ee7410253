"""The Grafana dashboard, built as code; the monitoring role installs what it gives."""
