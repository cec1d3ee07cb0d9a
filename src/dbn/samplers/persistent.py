"""Persistent contrastive divergence: chains that continue from one minibatch to the next."""

from typing import ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.base import Sampler
from dbn.settings import check_number


class PersistentContrastiveDivergence(Sampler):
    """PCD-k: ``k`` steps of Gibbs sampling from the chains' states after the previous minibatch.

    There are as many chains as images in the first minibatch; they start at its sampled reconstructions. A smaller
    minibatch updates only the first chains. Visible and hidden states are sampled. The learning rate should be small,
    so that the chains stay close to the model's distribution.

    Args:
        steps: ``k``, from 1.

    Attributes:
        chains: visible states ``(chains, n_visible)``, with the members first in a group of models; None before the
            first minibatch.

    Raises:
        SettingError: ``steps`` is not a whole number from 1.

    References:
        Younes (1989); Tieleman (2008), *Training restricted Boltzmann machines using approximations to the likelihood
        gradient*, ICML.
    """

    persistent: ClassVar[bool] = True

    def __init__(self, steps: int = 1) -> None:
        check_number("sampler.steps", steps, low=1, whole=True)
        self.steps = steps
        self.chains: Tensor | None = None

    @property
    def products(self) -> int:
        """``2k``: two per step."""
        return 2 * self.steps

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Update the chains by ``k`` steps and write their visible states into ``out`` ``(batch, n_visible)``.

        Raises:
            SettingError: the minibatch has more images than there are chains, or the chains belong to another RBM.
        """
        v, h = out, positive.h
        if self.chains is None:
            positive.sample_hidden(rbm, generator)
            rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
            with torch.inference_mode(False):  # chains outlive training
                self.chains = v.clone()
        if v.shape[:-2] != self.chains.shape[:-2] or v.shape[-1] != self.chains.shape[-1]:
            raise SettingError(
                f"sampler: its chains have {self.chains.shape[-1]} visible units, those of another RBM; this one has "
                f"{v.shape[-1]}. Give every RBM a sampler of its own."
            )
        if v.shape[-2] > self.chains.shape[-2]:
            raise SettingError(
                f"stack.every_layer.batch_size: {v.shape[-2]} images for {self.chains.shape[-2]} persistent chains. "
                "Keep the size of the first minibatch."
            )
        moved = self.chains[..., : v.shape[-2], :]
        for step in range(self.steps):
            rbm.hidden.sample(rbm.hidden_field(v if step else moved, out=h), generator, out=h)
            rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
        moved.copy_(v)

    def state_dict(self) -> dict[str, Tensor]:
        """The chains."""
        return {} if self.chains is None else {"chains": self.chains}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore the chains of a checkpoint."""
        self.chains = state_dict["chains"].to(device) if "chains" in state_dict else None
