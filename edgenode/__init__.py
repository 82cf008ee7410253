"""Federated learning on bedside boxes, with no server and no trust between the boxes."""
