"""The batches of seeds of a study that grows until it is settled, and the overrides of their jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from dbn.errors import SettingError
from dbn.settings import check_number
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.rungs import is_search_by

SWEEPER = "UntilSettled"


@dataclass(frozen=True)
class SeedBatches:
    """Settings of ``hydra/sweeper=until_settled``.

    Attributes:
        first: number of seeds before the first look.
        step: number of seeds that each further look adds.
        max_seeds: number of seeds at the last look.
    """

    first: int
    step: int
    max_seeds: int

    def __post_init__(self) -> None:
        check_number("hydra.sweeper.first", self.first, low=MIN_SEEDS, whole=True)
        check_number("hydra.sweeper.step", self.step, low=1, whole=True)
        check_number("hydra.sweeper.max_seeds", self.max_seeds, low=self.first, whole=True)

    @property
    def looks(self) -> list[int]:
        """Number of seeds at each look."""
        return [*range(self.first, self.max_seeds, self.step), self.max_seeds]


def seed_batches_of(config: DictConfig) -> SeedBatches | None:
    """The settings of a multirun that grows; None if it has another sweeper.

    Raises:
        SettingError: an invalid setting, or the command gives several seeds by itself.
    """
    if not is_search_by(SWEEPER, config):
        return None
    given = [str(override) for override in config.hydra.overrides.task._iter_ex(resolve=False)]
    for override in given:
        key, _, value = override.partition("=")
        if key == "seed" and not value.isdigit():
            raise SettingError(f"{override}: seeds=until_settled adds seeds by itself. Give the first one, seed=0.")
    return SeedBatches(**{name: config.hydra.sweeper[name] for name in SeedBatches.__dataclass_fields__})


def batch_job(job: Sequence[str], config: DictConfig, start: int, end: int) -> list[str]:
    """Overrides of a job with the seeds ``start`` to ``end - 1``, counted from the job's own first seed."""
    kept = [override for override in job if override.partition("=")[0] not in ("seed", "n_parallel_seeds")]
    return [*kept, f"seed={config.seed + start}", f"n_parallel_seeds={end - start}"]


def first_batch(job: Sequence[str], config: DictConfig, options: SeedBatches) -> list[list[str]]:
    """Overrides of the first batch of a job of the multirun."""
    return [batch_job(job, config, 0, options.first)]
