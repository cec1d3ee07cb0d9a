"""Applying what was trained, from the command line: models and data from settings, pictures, tables, arrays."""
