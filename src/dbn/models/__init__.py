"""Models: units, connections, the RBM made of them, the DBN made of RBMs, and the file that keeps it."""
