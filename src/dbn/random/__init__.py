"""Randomness: named streams, and noise for units."""
