"""Applying fine-tuned networks, from the command line: predictions and features."""
