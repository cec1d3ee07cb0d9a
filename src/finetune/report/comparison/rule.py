"""The two numbers of the rule by which a difference is called settled, see :mod:`finetune.report.comparison.family`."""

SIGNIFICANCE_LEVEL = 0.05
"""Largest probability of any false claim in a section."""
MIN_SEEDS = 5
"""Number of seeds without which nothing is settled, however small the p value."""
