"""Persistent contrastive divergence: chains that continue from one minibatch to the next."""

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.steps import GibbsSampler, Steps
from dbn.settings import check_number


class PersistentContrastiveDivergence(GibbsSampler):
    """PCD-k: ``k`` steps of Gibbs sampling from the chains' states after the previous minibatch.

    Without a number of ``chains`` there are as many as images in the first minibatch, and a smaller minibatch updates
    only the first ones. With it, each minibatch updates all of them and averages over all. They start at sampled
    reconstructions of the first minibatch. Visible and hidden states are sampled. The learning rate should be small, so
    that the chains stay close to the model's distribution.

    Each process has chains of its own, with noise of their own; a given number of chains is divided among them.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.
        chains: number of chains, over all processes; None: one for each image of a minibatch.

    Attributes:
        chains: visible states ``(chains, n_visible)``, with the members first in a group of models; None before the
            first minibatch.

    Raises:
        SettingError: ``steps`` is no whole number from 1 and no schedule of such numbers, or ``chains`` is no whole
            number from 1.

    References:
        Younes (1989); Tieleman (2008), *Training restricted Boltzmann machines using approximations to the likelihood
        gradient*, ICML.
    """

    def __init__(self, steps: Steps = 1, chains: int | None = None) -> None:
        super().__init__(steps)
        if chains is not None:
            check_number("sampler.chains", chains, low=1, whole=True)
        self.n_chains = chains
        self.chains: Tensor | None = None

    @property
    def products(self) -> int:
        """``2k``: two per step."""
        return 2 * self.steps

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Update the chains by ``k`` steps and write their visible states into ``out`` ``(states, n_visible)``.

        Raises:
            SettingError: the minibatch has more images than there are chains, or the chains belong to another RBM.
        """
        v, h = out, hidden_buffer(positive, out)
        if self.chains is None:
            write_reconstructions(rbm, positive, v, h, generator)
            with torch.inference_mode(False):  # chains outlive training
                self.chains = v.clone()
        self.check(v)
        moved = self.chains[..., : v.shape[-2], :]
        for step in range(self.steps):
            rbm.hidden.sample(rbm.hidden_field(v if step else moved, out=h), generator, out=h)
            rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
        moved.copy_(v)

    def check(self, v: Tensor) -> None:
        """Refuse to write states ``v`` of which there are too many, or that are none of the chains' RBM.

        Raises:
            SettingError: see :meth:`write_negative_states`.
        """
        assert self.chains is not None
        if v.shape[:-2] != self.chains.shape[:-2] or v.shape[-1] != self.chains.shape[-1]:
            raise SettingError(
                f"sampler: its chains have {self.chains.shape[-1]} visible units, those of another RBM; this one has "
                f"{v.shape[-1]}. Give every RBM a sampler of its own."
            )
        if v.shape[-2] > self.chains.shape[-2]:
            raise SettingError(
                f"stack.every_layer.batch_size: {v.shape[-2]} images for {self.chains.shape[-2]} persistent chains. "
                "Keep the size of the first minibatch, or give their number, sampler.chains."
            )

    def state_dict(self) -> dict[str, Tensor]:
        """The chains."""
        return {} if self.chains is None else {"chains": self.chains}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore the chains of a checkpoint."""
        self.chains = state_dict["chains"].to(device) if "chains" in state_dict else None


def hidden_buffer(positive: Phase, v: Tensor) -> Tensor:
    """A buffer for hidden states of the visible states ``v`` ``(states, n_visible)``: that of the phase if it fits."""
    h = positive.h
    return h if h.shape[-2] == v.shape[-2] else h.new_empty(*v.shape[:-1], h.shape[-1])


def write_reconstructions(rbm: RBM, positive: Phase, v: Tensor, h: Tensor, generator: Noise) -> None:
    """Write sampled reconstructions of the minibatch's images, from the first again after the last.

    Args:
        rbm: the model.
        positive: the minibatch.
        v: destination ``(states, n_visible)``.
        h: buffer ``(states, n_hidden)``.
        generator: source of randomness.
    """
    if h is positive.h:
        positive.sample_hidden(rbm, generator)
    else:
        images = torch.arange(h.shape[-2], device=h.device) % positive.v.shape[-2]
        rbm.hidden.sample(positive.field[..., images, :], generator, out=h)
    rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
