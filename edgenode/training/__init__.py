"""Training on the node: a stateless graph in a TensorFlow Lite runtime, and rounds around it."""
