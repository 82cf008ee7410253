"""Training graphs, built with TensorFlow: never on a node. See docs/training.md."""
