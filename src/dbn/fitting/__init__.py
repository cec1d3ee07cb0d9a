"""Fits with Lightning's Trainer: modules that walk through blocks, checkpoints, metrics, processes, interruptions."""
