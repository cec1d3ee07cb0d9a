"""Intervals and tests over seeds, as functions of numbers.

Two arms with the same seed saw the same split, label subset and order of images, so arms are compared by the
differences seed by seed: what the seed does to both cancels. Arms without a common seed are compared by their means.
"""
