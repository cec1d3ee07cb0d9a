"""Jobs of a multirun side by side on one machine: ``hydra/launcher=local``."""
