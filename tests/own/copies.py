"""Pictures of which there are copies, in numbers that differ: splits of other seeds have other numbers of images."""

import torch

from dbn.data import Source


def copies() -> Source:
    """120 pictures of 3 x 3 pixels in three classes, picture k one to four times."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (120, 1, 3, 3), generator=generator, dtype=torch.uint8)
    times = torch.randint(1, 5, (120,), generator=generator)
    index = torch.arange(120).repeat_interleave(times)
    classes = ("a", "b", "c")
    return Source("copies", pictures[index], index % 3, classes=classes, groups=index, copies=True, maximum=255)
