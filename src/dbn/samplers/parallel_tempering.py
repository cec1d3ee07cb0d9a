"""Parallel tempering as a sampler of the negative phase."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.ladder import adapted_ladder, even_ladder, recommended_temperatures
from dbn.samplers.persistent import PersistentContrastiveDivergence, hidden_buffer, write_reconstructions
from dbn.samplers.steps import Steps
from dbn.samplers.tempered_chains import TemperedChains
from dbn.settings import check_number


class ParallelTempering(PersistentContrastiveDivergence):
    r"""Persistent chains, each with companions at higher temperatures, with which it exchanges its state.

    A minibatch takes ``k`` rounds: swaps between neighbouring temperatures, even and odd pairs in turn, and a step of
    Gibbs sampling at each temperature, see :class:`dbn.samplers.tempered_chains.TemperedChains`. Companions at the
    highest temperature are independent units; so chains reach other modes of the distribution by way of them.

    After every epoch the temperatures are spaced such that all pairs of neighbours swap equally often, and independent
    units get the means that visible and hidden units had over the images of the epoch. Metrics of a layer say how well
    chains travel:

    - ``communication_barrier``: :math:`\Lambda`, the sum of the rejections of all pairs.
    - ``recommended_temperatures``: with how many there are most round trips for the same operations.
    - ``round_trips``: from independent units to the model and back, for each chain in 1000 rounds.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.
        chains: number of chains of the model itself, see :class:`PersistentContrastiveDivergence`.
        temperatures: number of temperatures, from 2; a step takes as many times the operations of PCD.

    Attributes:
        tempered: the chains at all temperatures; None before the first minibatch.

    Raises:
        SettingError: as :class:`PersistentContrastiveDivergence`, or ``temperatures`` is no whole number from 2.

    References:
        Desjardins, Courville, Bengio, Vincent & Delalleau (2010), *Parallel tempering for training of restricted
        Boltzmann machines*, AISTATS; Syed et al. (2022), JRSS B 84:321, for swaps and temperatures.
    """

    def __init__(self, steps: Steps = 1, chains: int | None = None, temperatures: int = 10) -> None:
        super().__init__(steps, chains)
        check_number("sampler.temperatures", temperatures, low=2, high=MOST_TEMPERATURES, whole=True)
        self.temperatures = temperatures
        self.tempered: TemperedChains | None = None
        self.seen: tuple[Tensor, Tensor] | None = None
        self.restored: dict[str, Tensor] | None = None

    @property
    def products(self) -> int:
        """``2k`` at each temperature."""
        return 2 * self.steps * self.temperatures

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Move all chains by ``k`` rounds and write visible states of the model's into ``out`` ``(states, n_visible)``.

        Raises:
            SettingError: as :meth:`PersistentContrastiveDivergence.write_negative_states`, or units have no likelihood.
        """
        if self.tempered is None:
            self.start(rbm, positive, out, generator)
        assert self.tempered is not None
        assert self.seen is not None
        self.check(out)
        self.tempered.move(rbm, self.steps, generator)
        out.copy_(self.tempered.top[..., : out.shape[-2], :])
        for total, states in zip(self.seen, (positive.v, positive.mean), strict=True):
            total.add_(states.mean(-2, keepdim=True))

    def start(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise) -> None:
        """Make the chains: those of a checkpoint, or at every temperature reconstructions of the minibatch."""
        if self.restored is None:
            write_reconstructions(rbm, positive, out, hidden_buffer(positive, out), generator)
            self.tempered = TemperedChains(rbm, out, even_ladder(self.temperatures))
        else:
            v = self.restored["v"]
            first = v.unflatten(-2, (self.temperatures, -1))[..., 0, :, :]
            self.tempered = TemperedChains(rbm, first, even_ladder(self.temperatures))
            self.tempered.load_state(self.restored)
        self.chains = self.tempered.top
        with torch.inference_mode(False):
            references = self.tempered.visible_reference, self.tempered.hidden_reference
            self.seen = torch.zeros_like(references[0]), torch.zeros_like(references[1])
            if self.restored is not None:
                self.seen[0].copy_(self.restored["visible_seen"])
                self.seen[1].copy_(self.restored["hidden_seen"])
        self.restored = None

    @torch.no_grad()
    def end_epoch(self, rbm: RBM) -> Sequence[Mapping[str, float]]:
        """Space the temperatures anew; see the class for the metrics.

        Returns:
            A row for each member.
        """
        tempered, seen = self.tempered, self.seen
        if tempered is None or seen is None:
            return ()
        rounds, rows = int(tempered.swaps.rounds), tempered.swaps.labels.shape[-1]
        minibatches = max(1, rounds // self.steps)
        rejections, n = tempered.swaps.mean_rejections(), self.temperatures
        trips = tempered.swaps.round_trips.reshape(-1).tolist()
        metrics = []
        for own, betas, made in zip(rejections.view(-1, n - 1), tempered.betas.view(-1, n), trips, strict=True):
            barrier = float(own.sum())
            metrics.append(
                {
                    "communication_barrier": barrier,
                    "recommended_temperatures": float(recommended_temperatures(barrier)),
                    "round_trips": 1000 * made / max(1, rounds * rows),
                }
            )
            betas.copy_(adapted_ladder(betas, own))
        tempered.refer_to(rbm.members(), seen[0] / minibatches, seen[1] / minibatches)
        tempered.swaps.begin_record()
        for total in seen:
            total.zero_()
        return metrics

    def state_dict(self) -> dict[str, Tensor]:
        """The chains at all temperatures, temperatures, and the record of swaps."""
        if self.tempered is None or self.seen is None:
            return self.restored or {}
        return {**self.tempered.state(), "visible_seen": self.seen[0], "hidden_seen": self.seen[1]}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore it.

        Raises:
            SettingError: the state is of another number of temperatures.
        """
        self.tempered, self.chains = None, None
        self.restored = {name: own.to(device) for name, own in state_dict.items()} or None
        if self.restored is not None and (found := self.restored["betas"].shape[-1]) != self.temperatures:
            raise SettingError(
                f"sampler.temperatures={self.temperatures}: the chains of the checkpoint have {found}. Use "
                f"sampler.temperatures={found}."
            )


MOST_TEMPERATURES = 1000
"""Largest number of temperatures."""
