"""Named random streams, and noise for units."""
