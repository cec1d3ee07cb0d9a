"""What the units of a model ask of the data."""

import torch

from dbn.data.images import Images
from dbn.errors import DataError


def check_unit_interval(images: Images, *, data_name: str, split: str = "training") -> None:
    """Features must lie in [0, 1], which is what Bernoulli visible units need: a feature is the chance of a one.

    Args:
        images: what is going to be trained or evaluated on; may be empty.
        data_name: for the message.
        split: "training", "validation" or "test", for the message.

    Raises:
        DataError: a feature lies outside [0, 1].
    """
    if len(images) == 0:
        return
    if images.pixels.dtype == torch.uint8:  # features rise with pixels: no byte can lie outside, no need to look
        ends = (torch.tensor([[0], [255]], device=images.offset.device) - images.offset) * images.factor
        if ends.min() >= 0 and ends.max() <= 1:
            return
    smallest, largest = 0.0, 0.0
    for chunk in images.chunks():
        low, high = torch.aminmax(chunk)
        smallest, largest = min(smallest, float(low)), max(largest, float(high))
    if smallest < 0 or largest > 1:
        raise DataError(
            f"data={data_name}: features of the {split} images go from {smallest:.4g} to {largest:.4g}, but Bernoulli "
            "visible units need [0, 1]. Scale the images, set data.maximum to the stored value that stands for 1, "
            "or use stack.visible=gaussian with data.standardise=true."
        )
