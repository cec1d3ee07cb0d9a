"""What a Source refuses, whoever builds it."""

import math

import pytest
import torch

from dbn.data import Source
from dbn.errors import DataError, SettingError

IMAGES = torch.rand(4, 1, 2, 2)
LABELS = torch.tensor([0, 1, 0, 1])


def with_value(value):
    images = IMAGES.clone()
    images[2, 0, 1, 1] = value
    return images


def test_classes_get_names_where_none_are_given():
    assert Source("x", IMAGES, LABELS, maximum=1.0).classes == ("0", "1")
    assert Source("x", IMAGES).classes == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_images": IMAGES[:0]}, r"train_images have shape \(0, 1, 2, 2\)"),
        ({"train_images": IMAGES.flatten(1)}, r"train_images have shape \(4, 4\)"),
        ({"train_images": IMAGES.double()}, r"train_images are torch\.float64"),
        ({"train_images": with_value(math.nan)}, r"NaN or infinite values: 1 of 4 images, the first is image 2"),
        ({"train_images": with_value(-math.inf)}, r"the first is image 2"),
        ({"train_labels": LABELS[:3]}, r"train_labels have shape \(3,\), but there are 4 train_images"),
        ({"train_labels": LABELS.int()}, r"train_labels are torch\.int32"),
        ({"train_labels": LABELS * 0}, r"same label, '0'"),
        ({"train_labels": LABELS * 0, "classes": ("cat", "dog")}, r"same label, 'cat'"),
        ({"train_labels": LABELS * 2}, r"train_labels hold 2, but there are 2 classes"),
        ({"train_labels": LABELS - 1}, r"train_labels hold -1"),
        ({"train_labels": LABELS * 10**12}, r"train_labels hold 1000000000000"),
        ({"train_labels": LABELS, "classes": ("a", "b", "c")}, r"class 'c' has no training image"),
        ({"classes": ("a", "b")}, r"no train_labels"),
        ({"test_images": IMAGES[..., :1]}, r"test_images have shape \(1, 2, 1\).*train_images have \(1, 2, 2\)"),
        ({"test_images": IMAGES.to(torch.uint8)}, r"test_images are torch\.uint8, but train_images are torch\.float32"),
        ({"test_images": IMAGES[:0]}, r"test_images have shape \(0,"),
        ({"test_images": with_value(math.inf)}, r"test_images hold NaN or inf"),
        ({"test_labels": LABELS}, r"test_labels without test_images"),
        ({"test_images": IMAGES, "test_labels": LABELS}, r"test_labels are there, but train_labels are not"),
        ({"train_labels": LABELS, "test_images": IMAGES}, r"test_labels are missing"),
        ({"train_labels": LABELS, "test_images": IMAGES, "test_labels": LABELS + 1}, r"test_labels hold class 2"),
        ({"validation_images": IMAGES[..., :1]}, r"validation_images have shape"),
        ({"train_labels": LABELS, "validation_images": IMAGES, "validation_labels": LABELS[:1]}, r"shape \(1,\)"),
    ],
)
def test_what_cannot_be_used_is_named(fields, message):
    with pytest.raises(DataError, match=message) as caught:
        Source("mine", **{"train_images": IMAGES, "maximum": 1.0, **fields}).check_trainable()
    assert str(caught.value).startswith("data=mine: ")


@pytest.mark.parametrize("maximum", [0.0, -1.0, math.nan, math.inf, "many"])
def test_maximum_must_be_a_positive_number(maximum):
    with pytest.raises(SettingError, match=rf"data\.maximum={maximum} .*data=mine"):
        Source("mine", IMAGES, maximum=maximum)
