"""Intervals and tests over seeds and test images, as functions of numbers.

Two arms with the same seed saw the same split, label subset and order of images, so arms are compared by the
differences seed by seed: what the seed does to both cancels. Arms without a common seed are compared by their means.
Where all runs were tested on the same images, seeds and images are crossed, and an interval is one for new seeds and
new images.
"""
