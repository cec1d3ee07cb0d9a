"""Trajectory tempering as a sampler of the negative phase."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.ladder import recommended_temperatures
from dbn.samplers.persistent import PersistentContrastiveDivergence, hidden_buffer, write_reconstructions
from dbn.samplers.steps import Steps
from dbn.samplers.tempered_chains import check_exchangeable
from dbn.samplers.trajectory_chains import TrajectoryChains
from dbn.settings import check_number


class TrajectoryTempering(PersistentContrastiveDivergence):
    r"""Persistent chains that exchange states with those of the model as it was at earlier times of its training.

    A minibatch takes ``k`` rounds: swaps between neighbours in time, even and odd pairs in turn, and a step of Gibbs
    sampling of each model, see :class:`dbn.samplers.trajectory_chains.TrajectoryChains`. Earlier models have smaller
    weights and mix faster. Unlike a ladder of temperatures, a training goes through its transitions continuously.

    The first of the earlier models is the one with the initial weights; the others start as copies of it. Before each
    block of minibatches the swaps of the last one decide whether the present model is kept: it is where more swaps with
    the last of the earlier models are rejected than :data:`KEEP_FROM`, and than would be after another earlier model
    went. That one, whose neighbours swap most with it, makes place. Metrics of a layer:

    - ``communication_barrier``: :math:`\Lambda`, the sum of the rejections of all pairs.
    - ``recommended_models``: with how many earlier ones there are most round trips for the same operations.
    - ``round_trips``: from the initial to the present model and back, for each chain in 1000 rounds.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.
        chains: number of chains of the model itself, see :class:`PersistentContrastiveDivergence`.
        models: number of earlier models, from 1; a step takes ``1 + 2 * models`` times the operations of PCD.

    Attributes:
        earlier: these models, in the order of time.
        row: the chains, the present model's last; None before the first minibatch.

    Raises:
        SettingError: as :class:`PersistentContrastiveDivergence`, or ``models`` is no whole number from 1.

    References:
        Béreux, Decelle, Furtlehner, Rosset & Seoane (2025), *Fast training and sampling of restricted Boltzmann
        machines*, ICLR, https://arxiv.org/abs/2405.15376.
    """

    def __init__(self, steps: Steps = 1, chains: int | None = None, models: int = 8) -> None:
        super().__init__(steps, chains)
        check_number("sampler.models", models, low=1, high=MOST_MODELS, whole=True)
        self.models = models
        self.present: RBM | None = None
        self.earlier: list[RBM] = []
        self.row: TrajectoryChains | None = None
        self.before: tuple[Tensor, Tensor] | None = None
        self.restored: dict[str, Tensor] | None = None

    @property
    def products(self) -> int:
        """In each of ``k`` rounds two of every model, and two for each pair of neighbours."""
        return self.steps * (2 + 4 * self.models)

    def begin(self, rbm: RBM) -> None:
        """Start with copies of the initial model.

        Raises:
            SettingError: units have no likelihood, or several seeds train together.
        """
        check_exchangeable(rbm)
        if rbm.connection.members:
            raise SettingError(
                "sampler.models: seeds that train together have no earlier models of their own. Use "
                "n_parallel_seeds=1, or sampler=pt."
            )
        self.present = rbm
        self.earlier = [deepcopy(rbm).requires_grad_(False) for _ in range(self.models)]

    def begin_epoch(self, epoch: int) -> bool:
        """See :meth:`dbn.samplers.base.Sampler.begin_epoch`; keeps the present model if it is time."""
        self.keep_present()
        return super().begin_epoch(epoch)

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Move all chains by ``k`` rounds and write visible states of the model's into ``out`` ``(states, n_visible)``.

        Raises:
            SettingError: as :meth:`PersistentContrastiveDivergence.write_negative_states`.
        """
        if self.row is None:
            self.start(rbm, positive, out, generator)
        assert self.row is not None
        self.check(out)
        self.row.move([*self.earlier, rbm], self.steps, generator)
        out.copy_(self.row.v[-1, : out.shape[-2]])

    def start(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise) -> None:
        """Make the chains: those of a checkpoint, or of every model reconstructions of the minibatch."""
        if self.restored is None:
            write_reconstructions(rbm, positive, out, hidden_buffer(positive, out), generator)
            self.row = TrajectoryChains(out.to(rbm.weight.dtype).expand(self.models + 1, *out.shape))
        else:
            self.row = TrajectoryChains(self.restored["v"])
        swaps = self.row.swaps
        with torch.inference_mode(False):
            self.before = torch.zeros_like(swaps.rejections), torch.zeros_like(swaps.rounds)
        if self.restored is not None:
            for name, own in self.state_of_chains().items():
                own.copy_(self.restored[name])
        self.chains = self.row.v[-1]
        self.restored = None

    @torch.no_grad()
    def keep_present(self) -> None:
        """Keep the present model among the earlier ones, if the swaps since the last call ask for it."""
        if self.row is None or self.before is None:
            return
        swaps = self.row.swaps
        rejections, rounds = self.before
        new = int(swaps.rounds - rounds)
        if new == 0:
            return
        each = ((swaps.rejections - rejections) / new).tolist()
        rejections.copy_(swaps.rejections)
        rounds.copy_(swaps.rounds)
        if self.models == 1 or each[-1] <= KEEP_FROM:
            return
        costs = [below + above for below, above in pairwise(each)]
        cheapest = min(range(len(costs)), key=costs.__getitem__)
        if each[-1] <= costs[cheapest]:
            return
        gone = 1 + cheapest
        assert self.present is not None
        for k in range(gone, self.models):
            source = self.present if k == self.models - 1 else self.earlier[k + 1]
            for own, later in zip(self.earlier[k].parameters(), source.parameters(), strict=True):
                own.copy_(later)
            self.row.v[k].copy_(self.row.v[k + 1])
            swaps.labels[k].copy_(swaps.labels[k + 1])

    @torch.no_grad()
    def end_epoch(self, rbm: RBM) -> Sequence[Mapping[str, float]]:
        """Keep the present model if it is time, and begin a new record; see the class for the metrics."""
        if self.row is None or self.before is None:
            return ()
        self.keep_present()
        swaps = self.row.swaps
        barrier = float(swaps.mean_rejections().sum())
        trips = 1000 * int(swaps.round_trips) / max(1, int(swaps.rounds) * self.row.v.shape[1])
        swaps.begin_record()
        for own in self.before:
            own.zero_()
        return [
            {
                "communication_barrier": barrier,
                "recommended_models": float(recommended_temperatures(barrier) - 1),
                "round_trips": trips,
            }
        ]

    def state_of_chains(self) -> dict[str, Tensor]:
        """Chains, and the record of swaps."""
        if self.row is None or self.before is None:
            return {}
        rejections, rounds = self.before
        record = {"rejections_before": rejections, "rounds_before": rounds}
        return {"v": self.row.v, **self.row.swaps.state(), **record}

    def state_dict(self) -> dict[str, Tensor]:
        """The chains of all models, the earlier models, and the record of swaps."""
        if self.row is None:
            return self.restored or {}
        names = [name for name, _ in self.earlier[0].named_parameters()]
        models = {name: [dict(rbm.named_parameters())[name] for rbm in self.earlier] for name in names}
        kept = {f"models.{name}": torch.stack([own.detach() for own in each]) for name, each in models.items()}
        return {**self.state_of_chains(), **kept}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore it; after :meth:`begin`.

        Raises:
            SettingError: the state is of another number of models.
        """
        self.row, self.chains = None, None
        self.restored = {name: own.to(device) for name, own in state_dict.items()} or None
        if self.restored is None:
            return
        if (found := self.restored["v"].shape[0] - 1) != self.models:
            raise SettingError(
                f"sampler.models={self.models}: the checkpoint has chains of {found} earlier models. Use "
                f"sampler.models={found}."
            )
        with torch.no_grad():
            for k, rbm in enumerate(self.earlier):
                for name, own in rbm.named_parameters():
                    own.copy_(self.restored[f"models.{name}"][k])


KEEP_FROM = 0.3
"""Rejected swaps with the last of the earlier models, above which the present model may be kept."""
MOST_MODELS = 100
"""Largest number of earlier models."""
