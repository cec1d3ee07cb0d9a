"""A run's life: its directory, identity and name, its seeds, and how it is tracked."""
