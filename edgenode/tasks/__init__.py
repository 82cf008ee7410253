"""Tasks: what is learned. Windows, labels, model files and metrics, one folder per task."""
