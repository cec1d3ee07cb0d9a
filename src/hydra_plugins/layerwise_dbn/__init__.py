"""Plugins of Hydra, which looks for them in the package ``hydra_plugins``."""
