"""Training with Lightning's Trainer: modules that train on blocks, checkpoints, metrics, processes, interruptions."""
