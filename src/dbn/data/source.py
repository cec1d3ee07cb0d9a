"""Images and labels as a reader of files returns them, before splitting."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.data.image_weights import checked_weights
from dbn.data.split.groups import first_in_groups
from dbn.errors import DataError, SettingError

COUNTS = "counts"
"""In place of the stored value that stands for 1: values are counts, which are features as they are."""


@dataclass(frozen=True, eq=False)
class Source:
    """Images and labels as read, before splitting; shapes and types are validated when constructed.

    A model can be applied to any source, such as a single image, or images that are all of one class. What training
    needs beyond that is checked where a source is split, see :meth:`check_trainable`.

    Attributes:
        name: name of the data in messages and results.
        train_images: ``(n, channels, height, width)``, uint8 or float32.
        train_labels: ``(n,)`` int64 class numbers 0 to k-1; None: no labels.
        test_images: as ``train_images``; None: :func:`dbn.data.load_data` holds out some of the training images.
        test_labels: of ``test_images``; required if and only if there are ``train_labels``.
        validation_images: as ``test_images``.
        validation_labels: as ``test_labels``.
        classes: names of the k classes; empty: "0" to "k-1", or no labels.
        maximum: stored value that stands for 1.0, such as 255; None: inferred by
            :func:`dbn.data.value_of_one.value_of_one` in :func:`dbn.data.load_data`, which refuses ambiguous ranges.
        groups: ``(n,)`` int64 group numbers of the training images, such as one for each person: a group is never
            divided between splits; None: no groups.
        copies: images of a group are copies of one picture. A picture is held out once, whatever the number of its
            copies, and stays in training if its copies have different labels.
        names: a name for every training image, such as its file's; empty: images have no names.
        test_names: likewise for ``test_images``.
        validation_names: likewise for ``validation_images``.
        counts: values are counts, such as of words, which are features as they are; no value of them stands for 1.
        feature_names: a name for every feature of an image, such as the word that is counted; empty: they have none.
        origin: file that the images were read from, for messages; empty: unknown.
        two_classes_advice: what to do if all labels are equal, for messages.
        train_weights: ``(n,)`` from 0, how much each training image counts in training; None: all the same.

    Raises:
        DataError: images are empty, or of another dtype or shape; labels do not match the images; held-out images have
            a label that no training image has; groups, names or weights do not match the images.
        SettingError: ``maximum`` is not a positive number.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    validation_images: Tensor | None = None
    validation_labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    maximum: float | None = None
    groups: Tensor | None = None
    copies: bool = False
    names: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    validation_names: tuple[str, ...] = ()
    counts: bool = False
    feature_names: tuple[str, ...] = ()
    origin: str = ""
    two_classes_advice: str = "Use labels of two classes or more, or leave the labels out."
    train_weights: Tensor | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.maximum, (int, float)) and not isinstance(self.maximum, bool)
        if self.maximum is not None and not (number and 0 < self.maximum < math.inf):
            raise SettingError(
                f"data.maximum={self.maximum} cannot be used for data={self.name}: it is the stored value that stands "
                "for 1.0. Use a positive number such as 255, or null where the images show it by themselves."
            )
        if self.counts and self.maximum is not None:
            raise SettingError(
                f"data.maximum={self.maximum}: counts are features as they are, none of them stands for 1. Leave it "
                "out."
            )
        self._check_split("train", self.train_images, self.train_labels)
        self._check_feature_names()
        self._check_names()
        self._check_train_labels()
        self._check_groups()
        self._check_weights()
        self._check_split("test", self.test_images, self.test_labels)
        self._check_split("validation", self.validation_images, self.validation_labels)
        if not self.classes and self.train_labels is not None:
            names = tuple(str(label) for label in range(int(self.train_labels.max()) + 1))
            object.__setattr__(self, "classes", names)  # the dataclass is frozen

    def check_trainable(self) -> None:
        """Check what training needs beyond a valid source.

        Raises:
            DataError: values are not finite; training labels are all equal, or a class has no training image.
        """
        try:
            self._check_finite()
            self._check_counts()
            self._check_classes()
        except DataError as error:
            raise DataError(f"{self.origin}: {error}" if self.origin else str(error)) from error

    @property
    def held_out(self) -> tuple[Tensor, ...]:
        """The test and validation images that the source has."""
        return tuple(images for images in (self.test_images, self.validation_images) if images is not None)

    def _check_split(self, split: str, images: Tensor | None, labels: Tensor | None) -> None:
        where = f"data={self.name}: {split}_images"
        if images is None:
            if labels is not None:
                raise DataError(f"data={self.name}: {split}_labels without {split}_images. Add the images they label.")
            return
        if images.ndim != 4 or images.numel() == 0:
            raise DataError(
                f"{where} have shape {tuple(images.shape)}: there must be at least one image, "
                "as (images, channels, height, width), and no side of 0."
            )
        if images.dtype not in (torch.uint8, torch.float32):
            raise DataError(f"{where} are {images.dtype}. Convert them to torch.uint8 or torch.float32.")
        if images.dtype != self.train_images.dtype:
            raise DataError(
                f"{where} are {images.dtype}, but train_images are {self.train_images.dtype}: one value would mean two "
                "things. Save both in the same way."
            )
        if images.shape[1:] != self.train_images.shape[1:]:
            raise DataError(
                f"{where} have shape {tuple(images.shape[1:])} (channels, height, width), but train_images have "
                f"{tuple(self.train_images.shape[1:])}. Bring all images to one shape."
            )
        self._check_labels(split, len(images), labels)

    def _check_feature_names(self) -> None:
        n = self.train_images[0].numel()
        if self.feature_names and len(self.feature_names) != n:
            raise DataError(
                f"data={self.name}: there are {len(self.feature_names)} feature_names, but {n} features. Name each, or "
                "none."
            )

    def _check_names(self) -> None:
        for key, names, images in (
            ("names", self.names, self.train_images),
            ("test_names", self.test_names, self.test_images),
            ("validation_names", self.validation_names, self.validation_images),
        ):
            n = 0 if images is None else len(images)
            if names and len(names) != n:
                raise DataError(f"data={self.name}: there are {len(names)} {key}, but {n} images. Name each, or none.")

    def _check_labels(self, split: str, n_images: int, labels: Tensor | None) -> None:
        where = f"data={self.name}: {split}_labels"
        if labels is None:
            if self.train_labels is not None:
                raise DataError(
                    f"{where} are missing, but the training images have labels. Add them, or leave out "
                    f"{split}_images: then {split} images are taken out of the training images."
                )
            return
        if self.train_labels is None:
            raise DataError(f"{where} are there, but train_labels are not. Label the training images too, or neither.")
        if labels.shape != (n_images,):
            raise DataError(
                f"{where} have shape {tuple(labels.shape)}, but there are {n_images} {split}_images. "
                f"Each image needs one label: shape ({n_images},)."
            )
        if labels.dtype != torch.int64:
            raise DataError(f"{where} are {labels.dtype}. Convert them to torch.int64 class numbers.")
        if split != "train":
            unseen = labels[~torch.isin(labels, self.train_labels)]
            if len(unseen):
                raise DataError(
                    f"{where} hold class {self._class_name(int(unseen[0]))}, which no training image has. "
                    "Add training images of that class, or leave it out."
                )

    def _check_train_labels(self) -> None:
        if self.train_labels is None:
            if self.classes:
                raise DataError(f"data={self.name}: there are names of classes but no train_labels. Add the labels.")
            return
        used = torch.unique(self.train_labels)
        n_classes = len(self.classes) or len(used)
        strays = used[(used < 0) | (used >= n_classes)]
        if len(strays):
            raise DataError(
                f"data={self.name}: train_labels hold {int(strays[0])}, but there are {n_classes} classes. "
                f"Number them 0 to {n_classes - 1}, without a gap."
            )

    def _check_counts(self) -> None:
        for images in (self.train_images, *self.held_out) if self.counts else ():
            if (images < 0).any() or (images != images.round()).any():
                raise DataError(
                    f"data={self.name}: counts are whole numbers from 0, and these go from {float(images.min()):g} to "
                    f"{float(images.max()):g}. Give the numbers of times, not shares or logarithms, or counts=False."
                )

    def _check_finite(self) -> None:
        for split, images in (
            ("train", self.train_images),
            ("test", self.test_images),
            ("validation", self.validation_images),
        ):
            if images is not None and images.is_floating_point():
                _refuse_not_finite(f"data={self.name}: {split}_images", images)

    def _check_classes(self) -> None:
        if self.train_labels is None:
            return
        used = torch.unique(self.train_labels)
        if len(used) == 1:
            raise DataError(
                f"data={self.name}: every training image has the same label, {self._class_name(int(used[0]))}. "
                f"{self.two_classes_advice}"
            )
        if len(used) < len(self.classes):
            missing = next(label for label in range(len(self.classes)) if label not in used)
            raise DataError(
                f"data={self.name}: class {self._class_name(missing)} has no training image. "
                "Add training images of that class, or leave it out of the classes."
            )

    def _check_groups(self) -> None:
        where, n = f"data={self.name}: groups", len(self.train_images)
        if self.groups is None:
            if self.copies:
                raise DataError(
                    f"{where} are missing, but copies is true. Number the pictures that images are copies of."
                )
            return
        if self.groups.shape != (n,):
            raise DataError(
                f"{where} have shape {tuple(self.groups.shape)}, but there are {n} train_images. "
                f"Each image needs one group: shape ({n},)."
            )
        if self.groups.dtype != torch.int64:
            raise DataError(f"{where} are {self.groups.dtype}. Convert them to torch.int64 numbers.")
        if self.copies:
            _, group, sizes = torch.unique(self.groups, return_inverse=True, return_counts=True)
            first = self.train_images[first_in_groups(group)]
            repeated = (sizes[group] > 1).nonzero().squeeze(1)
            other = (self.train_images[repeated] != first[group[repeated]]).flatten(1).any(1)
            if other.any():
                number = int(repeated[other][0])
                raise DataError(
                    f"{where} put image {number} (counted from 0) with pictures it is no copy of, but copies is true. "
                    "Give it a group of its own."
                )

    def _check_weights(self) -> None:
        if self.train_weights is not None:
            found = checked_weights(self.train_weights, len(self.train_images), f"data={self.name}: train_weights")
            object.__setattr__(self, "train_weights", found)  # the dataclass is frozen

    def _class_name(self, label: int) -> str:
        return repr(self.classes[label]) if 0 <= label < len(self.classes) else str(label)


def _refuse_not_finite(where: str, images: Tensor) -> None:
    bad = ~torch.isfinite(images).flatten(1).all(1)
    if bad.any():
        raise DataError(
            f"{where} hold NaN or infinite values: {int(bad.sum())} of {len(images)} images, the first is image "
            f"{int(bad.nonzero()[0])} (counted from 0). Repair or remove these images."
        )
