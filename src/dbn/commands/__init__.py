"""What console commands share: Hydra, checked configurations, and messages instead of tracebacks."""
