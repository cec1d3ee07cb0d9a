"""Networks whose probabilities are averaged, such as those of all seeds of an arm."""

from collections.abc import Sequence
from pathlib import Path

import torch
from numpy.typing import NDArray

from dbn.data.given_images import check_given, read_by
from dbn.data.images import Images, StoredImages
from dbn.errors import DataError, SettingError
from finetune.networks.network import Network
from finetune.report.results.study import scan_study


class Ensemble:
    """One network, or several classifiers of the same classes whose probabilities are averaged.

    Each network reads stored images by its own scaling.

    Args:
        networks: at least one.

    Raises:
        SettingError: several networks that have no probabilities, or other classes.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = networks
        self.meaning = networks[0].known_meaning
        self.averages = len(networks) > 1
        for network in networks if self.averages else ():
            if network.known_meaning.outputs != "logits":
                raise SettingError(
                    "ensemble: probabilities are averaged, and these networks have none: they are autoencoders, or "
                    "were not trained by the cross-entropy. Use one of them, run=..."
                )
            if network.known_meaning.classes != self.meaning.classes:
                raise SettingError(
                    f"ensemble: one network has the classes {', '.join(self.meaning.classes)}, another "
                    f"{', '.join(network.known_meaning.classes)}. Average networks of the same classes."
                )

    def check(self, images: StoredImages) -> None:
        """Check that the networks can be applied to images, see :func:`dbn.data.given_images.check_given`."""
        for network in self.networks:
            check_given(images, network.known_meaning.scaling, network.sizes[0])

    def classify(self, images: Images) -> tuple[NDArray, NDArray | None]:
        """Class numbers ``(m,)`` and probabilities ``(m, n_classes)`` float32 of stored images.

        Those of a single network are the same bits as :meth:`finetune.Network.predict_proba`'s. A network that was
        trained by another loss than the cross-entropy has no probabilities: None.
        """
        found = [network.outputs(read_by(images, network.known_meaning.scaling)) for network in self.networks]
        if not self.averages:
            (outputs,) = found
            has_probabilities = self.meaning.outputs == "logits"
            probabilities = self.meaning.probabilities(outputs).cpu().numpy() if has_probabilities else None
            return self.meaning.predicted(outputs).cpu().numpy(), probabilities
        average = torch.stack([self.meaning.probabilities(own) for own in found]).double().mean(0)
        return average.argmax(1).cpu().numpy(), average.float().cpu().numpy()

    def squared_error(self, images: Images) -> NDArray:
        """Squared error of an autoencoder for stored images, summed over features, ``(m,)`` float32."""
        (network,) = self.networks
        errors: NDArray = network.squared_error(read_by(images, self.meaning.scaling)).cpu().numpy()
        return errors


def runs_of_arm(study: Path, arm: str | None) -> list[Path]:
    """Directories of the fine-tuned runs of one arm of a study, all seeds.

    Args:
        study: the study's directory.
        arm: name of the arm, or of its runs without the seed; None: the study has one.

    Raises:
        SettingError: the study has several, or no such arm.
        DataError: it has no fine-tuned run.
    """
    runs = [run for run in scan_study(study).of_stage("finetune") if run.trial is None]
    if not runs:
        raise DataError(f"ensemble={study}: this study has no fine-tuned run that is done. Give another directory.")
    names = sorted({run.name for run in runs})
    chosen = [run for run in runs if arm is None or arm in (run.name, run.arm)]
    if any(run.name == arm for run in chosen):
        chosen = [run for run in chosen if run.name == arm]
    if not chosen:
        raise SettingError(f"arm={arm}: {study} has no such runs. Choose from {', '.join(names)}.")
    found = sorted({run.name for run in chosen})
    if len(found) > 1:
        raise SettingError(
            f"arm={'null' if arm is None else arm}: {study} has several: {', '.join(found)}. Name one of them."
        )
    return [run.directory for run in chosen]
