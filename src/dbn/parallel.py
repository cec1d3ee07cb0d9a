"""Several RBMs of one shape that train together: small products taken at once cost a fraction of one after another."""

import json
import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.files import write_json
from dbn.rbm import RBM
from dbn.units import Units


class ParallelRBM(RBM):
    """RBMs of the same unit types and sizes, the members, for training: one product multiplies those of all of them.

    States are ``(members, batch, n)``, weights ``(members, n_visible, n_hidden)``, biases ``(members, 1, n)``. Members
    do not touch each other: with the noise of its own generator each is trained as it would be by itself, up to the
    order in which products add up. Energies and likelihoods are the members' own, see :meth:`members`.

    Args:
        rbms: the members, whose parameters are copied.

    Raises:
        SettingError: no members, or members of different shapes.
    """

    def __init__(self, rbms: Sequence[RBM]) -> None:
        nn.Module.__init__(self)
        shapes = {(rbm.visible.kind, rbm.n_visible, rbm.hidden.kind, rbm.n_hidden) for rbm in rbms}
        if len(shapes) != 1:
            raise SettingError(f"RBMs that train together must be of one shape; these are of {sorted(shapes)}.")
        self.visible = side_by_side([rbm.visible for rbm in rbms])
        self.hidden = side_by_side([rbm.hidden for rbm in rbms])
        self.weight = nn.Parameter(torch.stack([rbm.weight.detach() for rbm in rbms]))

    def statistics(self, v: Tensor, h: Tensor, out: Tensor | None = None) -> Tensor:
        """``v^T h`` of each member, ``(2, members, batch, n)`` each -> the shape of the weights."""
        return torch.bmm(v[0].mT, h[0], out=out).baddbmm_(v[1].mT, h[1])

    def members(self) -> list[RBM]:
        """The members as RBMs of their own, whose parameters are this one's memory."""
        members = []
        for number, weight in enumerate(self.weight.detach()):
            member = RBM.__new__(RBM)
            nn.Module.__init__(member)
            member.visible, member.hidden = one_of(self.visible, number), one_of(self.hidden, number)
            member.weight = nn.Parameter(weight)
            members.append(member)
        return members


def group_of(rbms: Sequence[RBM]) -> RBM:
    """RBMs as one that trains them together; a single one, itself."""
    return rbms[0] if len(rbms) == 1 else ParallelRBM(rbms)


def members_of(rbm: RBM) -> list[RBM]:
    """The members of a group; of any other RBM, itself."""
    return rbm.members() if isinstance(rbm, ParallelRBM) else [rbm]


def side_by_side(layers: Sequence[Units]) -> Units:
    """Units whose parameters ``(members, 1, n)`` are copies of those of ``layers``."""
    group = deepcopy(layers[0])
    for name in dict(group.named_parameters()):
        own = [layer.get_parameter(name).detach() for layer in layers]
        setattr(group, name, nn.Parameter(torch.stack(own).unsqueeze(1)))
    return group


def one_of(group: Units, number: int) -> Units:
    """Units of member ``number``, whose parameters are the group's memory."""
    member = type(group)(group.size)
    for name, parameter in group.named_parameters():
        setattr(member, name, nn.Parameter(parameter.detach()[number, 0]))
    return member


def together(checkpoints: Path | None, seeds: Sequence[int], among: Sequence[int]) -> list[int]:
    """The seeds to train together: ``seeds``, or those of an interrupted fit whose checkpoints are there.

    A checkpoint holds all members of its fit, of which some may have been finished before the interruption. One whose
    members are not all at hand any more is of no use, and goes.

    Args:
        checkpoints: folder of the fit's checkpoints; None where none are kept.
        seeds: those that are not finished, of which there is at least one.
        among: those that could take part.
    """
    if checkpoints is None:
        return list(seeds)
    file = checkpoints / SEEDS
    if file.is_file():
        kept: list[int] = json.loads(file.read_text(encoding="utf-8"))
        if set(kept) <= set(among):
            return kept
        shutil.rmtree(checkpoints)
    if len(among) > 1:
        write_json(file, list(seeds))
    return list(seeds)


SEEDS = "seeds.json"
"""In a folder of checkpoints: the seeds that train together, in their order."""
