"""Runs: directories, identities and names, seeds, tracking."""
