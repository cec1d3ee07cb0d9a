"""Models: units, connections, RBMs, stacks (DBNs), and model files."""
