"""Persistent contrastive divergence with fast weights, which drive the chains away from where they are."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.persistent import PersistentContrastiveDivergence
from dbn.samplers.steps import Steps
from dbn.settings import check_number


class FastPersistentContrastiveDivergence(PersistentContrastiveDivergence):
    r"""FPCD-k: the chains of PCD-k, moved by a model whose parameters are :math:`\theta + \theta_{fast}`.

    Fast parameters learn from the same gradient :math:`g` as the model's, with a larger rate of their own, and decay
    fast: :math:`\theta_{fast} \leftarrow d\,\theta_{fast} - \epsilon_{fast}\,g`, from zero. Where the chains stay, the
    gradient raises the energy, for the fast parameters so much that they leave; after that it is forgotten. The
    gradient itself is that of the model: its hidden units are summed out with :math:`\theta` alone.

    With several processes the fast parameters are the same in all, since the gradient is.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.
        chains: number of chains, see :class:`PersistentContrastiveDivergence`.
        fast_learning_rate: :math:`\epsilon_{fast}`; 0 is PCD.
        fast_decay: :math:`d`, in [0, 1).

    Attributes:
        fast: :math:`\theta_{fast}`, in the order of the RBM's parameters and of their shapes; None before the first
            minibatch.

    Raises:
        SettingError: as :class:`PersistentContrastiveDivergence`, or a rate or decay is out of its range.

    References:
        Tieleman & Hinton (2009), *Using fast weights to improve persistent contrastive divergence*, ICML, section 4,
        whose decay is 19/20.
    """

    def __init__(
        self,
        steps: Steps = 1,
        chains: int | None = None,
        fast_learning_rate: float = 0.05,
        fast_decay: float = 0.95,
    ) -> None:
        super().__init__(steps, chains)
        check_number("sampler.fast_learning_rate", fast_learning_rate, low=0)
        check_number("sampler.fast_decay", fast_decay, low=0, high=1, below=True)
        self.fast_learning_rate = fast_learning_rate
        self.fast_decay = fast_decay
        self.fast: list[Tensor] | None = None
        self.slow: list[Tensor] = []

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """See :meth:`PersistentContrastiveDivergence.write_negative_states`."""
        with self.in_force(rbm):
            super().write_negative_states(rbm, positive, out, generator)

    @contextmanager
    def in_force(self, rbm: RBM) -> Iterator[None]:
        """Add the fast parameters to the RBM's for a while; afterwards these are what they were, bit for bit.

        In place, since copies of weights in another precision and views of members follow their own parameters.
        """
        parameters = list(rbm.parameters())
        if self.fast is None:
            with torch.inference_mode(False):  # they outlive training
                self.fast = [torch.zeros_like(own) for own in parameters]
        if not self.slow:
            with torch.inference_mode(False):
                self.slow = [torch.empty_like(own) for own in parameters]
        try:
            for own, slow, fast in zip(parameters, self.slow, self.fast, strict=True):
                slow.copy_(own)
                own.add_(fast)
            rbm.connection.refresh()
            yield
        finally:
            for own, slow in zip(parameters, self.slow, strict=True):
                own.copy_(slow)
            rbm.connection.refresh()

    def follow_gradient(self, rbm: RBM) -> None:
        """Update the fast parameters."""
        assert self.fast is not None
        for own, fast in zip(rbm.parameters(), self.fast, strict=True):
            if own.grad is not None:
                fast.mul_(self.fast_decay).sub_(own.grad, alpha=self.fast_learning_rate)

    def state_dict(self) -> dict[str, Tensor]:
        """The chains and the fast parameters."""
        return {**super().state_dict(), **{f"fast{k}": own for k, own in enumerate(self.fast or [])}}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore chains and fast parameters of a checkpoint."""
        super().load_state_dict(state_dict, device)
        n = sum(name.startswith("fast") for name in state_dict)
        self.fast = [state_dict[f"fast{k}"].to(device) for k in range(n)] if n else None
