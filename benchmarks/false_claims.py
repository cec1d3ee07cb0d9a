"""How often the report claims something where there is nothing, and how often it finds what there is: by simulation.

Every simulated study has arms on both sides, seeds, test images and validation images of its own; its results go
through the functions that make a report's sections, choose the arms and decide the headline.

    python benchmarks/false_claims.py [studies]

prints a line for each scenario: the share of studies whose headline is wrong, and of those with any wrong claim
(headline or star), in percent, and at last the power for a real difference.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from finetune.report.comparison.headline import decide_headline
from finetune.report.comparison.sections import Section, make_sections
from finetune.report.results.run_result import RunResult
from finetune.tasks.predictions import Predictions

Spread = Literal["normal", "skewed", "failed"]


@dataclass(frozen=True)
class Scenario:
    """How a simulated study looks.

    Attributes:
        n_arms: numbers of pretrained and of random arms.
        n_images: test images; None for a metric that is not explained image by image.
        spread: of the seeds' effects, which have mean zero: normal, lognormal, or normal with a failure in ten runs.
        seed_sd: standard deviation of an arm's error over seeds, test images aside, as a share of the error.
        image_sd: standard deviation over images of how much better one arm is than another: differences between arms
            that cancel over all images that there are.
        linked: correlation over seeds of the true errors behind the validation and the test error.
        n_validation: validation images; 0: no run has a validation value.
        error: mean test error.
        gain: by how much every pretrained arm is truly better, as an error rate.
    """

    n_arms: tuple[int, int]
    n_images: int | None = 400
    spread: Spread = "normal"
    seed_sd: float = 0.08
    image_sd: float = 0.0
    linked: float = 1.0
    n_validation: int = 500
    error: float = 0.05
    gain: float = 0.0


def simulate(scenario: Scenario, n_seeds: int, rng: np.random.Generator) -> Section:
    """The section of one simulated study."""
    n_arms = sum(scenario.n_arms)
    own = _effects(scenario.spread, (n_arms, n_seeds), rng)
    apart = _effects(scenario.spread, (n_arms, n_seeds), rng)
    other = scenario.linked * own + (1 - scenario.linked**2) ** 0.5 * apart
    base = scenario.error - scenario.gain * (np.arange(n_arms) < scenario.n_arms[0])
    test_rate, rate = (
        np.clip(base[:, None] + scenario.error * scenario.seed_sd * effect, 0.0, 1.0) for effect in (own, other)
    )
    wrong = None
    if scenario.n_images is not None:
        wrong = _wrong(scenario, test_rate, scenario.n_images, rng)
    runs, predictions = [], {}
    label = np.zeros(scenario.n_images or 0, np.int64)
    for arm in range(n_arms):
        kind = "pretrained" if arm < scenario.n_arms[0] else "random"
        for seed in range(n_seeds):
            error = float(test_rate[arm, seed] if wrong is None else wrong[arm, seed].mean())
            metrics = {"test/error": error}
            if scenario.n_validation:
                found = rng.binomial(scenario.n_validation, rate[arm, seed])
                metrics["validation/error"] = found / scenario.n_validation
            run = RunResult(
                study="simulated", stage="finetune", name=f"{kind}{arm}", seed=seed, metrics=metrics,
                directory=Path(f"{arm}_{seed}"), path="", kind=kind, arm=f"{kind}{arm}", task="classifier",
                data="simulated", labels="all",
            )  # fmt: skip
            runs.append(run)
            if wrong is not None:
                predictions[run.directory] = Predictions(label, wrong[arm, seed].astype(np.int64))
    (section,) = make_sections(runs, read=lambda run: predictions.get(run.directory))
    return section


def _effects(spread: Spread, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Effects of seeds, of mean zero and standard deviation one."""
    if spread == "normal":
        return rng.standard_normal(shape)
    if spread == "skewed":
        return (np.exp(rng.standard_normal(shape)) - np.exp(0.5)) / 2.161
    failures = (rng.random(shape) < 0.1) - 0.1
    return (0.3 * rng.standard_normal(shape) + 10 * failures) / 3.015


def _wrong(scenario: Scenario, rate: NDArray[np.float64], n_images: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which test images each run misclassifies, ``(n_arms, n_seeds, n_images)``.

    An image has a difficulty, the same for all, and may suit one arm more than another; a run misclassifies it where
    difficulty, suitability and a draw of the run's own exceed the run's threshold.
    """
    difficulty = rng.standard_normal(n_images)
    suits = scenario.image_sd * rng.standard_normal((rate.shape[0], 1, n_images))
    noise = rng.standard_normal((*rate.shape, n_images))
    score = (1.5 * difficulty + suits + 0.7 * noise) / (1.5**2 + scenario.image_sd**2 + 0.7**2) ** 0.5
    return np.asarray(score > -special.ndtri(np.clip(rate, 1e-6, 1 - 1e-6))[..., None])


@dataclass(frozen=True)
class Claims:
    """Shares of studies: with a headline that names a winner, with any claim, and with a verdict of no difference."""

    headline: float
    any: float
    n: int


def count_claims(scenario: Scenario, n_seeds: int, n_studies: int, seed: int = 0) -> Claims:
    """Simulate studies and count what their reports claim."""
    rng = np.random.default_rng([seed, n_seeds])
    headline = claims = 0
    for _ in range(n_studies):
        section = simulate(scenario, n_seeds, rng)
        wins = decide_headline(section) in ("pretrained", "random")
        headline += wins
        claims += wins or any(one.settled for one in section.comparisons)
    return Claims(headline / n_studies, claims / n_studies, n_studies)


NOTHING: dict[str, Scenario] = {
    "one arm a side": Scenario((1, 1)),
    "one arm a side, arms that suit other images": Scenario((1, 1), image_sd=1.0),
    "four arms a side": Scenario((4, 4)),
    "four arms a side, skewed": Scenario((4, 4), spread="skewed"),
    "four arms a side, failed runs": Scenario((4, 4), spread="failed"),
    "seven against one": Scenario((7, 1)),
    "one against seven, skewed": Scenario((1, 7), spread="skewed"),
    "four arms a side, chosen on the test set": Scenario((4, 4), n_validation=0),
    "ties: 20 validation images": Scenario((4, 4), n_validation=20),
    "no predictions, skewed": Scenario((4, 4), n_images=None, spread="skewed"),
    "no predictions, seven against one, failed runs": Scenario((7, 1), n_images=None, spread="failed"),
}
"""Scenarios in which no arm is better than another."""


def main() -> None:
    """Print all scenarios."""
    n_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    start = perf_counter()
    print(f"{n_studies} studies each; false headlines / any false claim, percent")
    for name, scenario in NOTHING.items():
        cells = []
        for n_seeds in (5, 10, 20):
            found = count_claims(scenario, n_seeds, n_studies)
            cells.append(f"{n_seeds} seeds {100 * found.headline:.1f} / {100 * found.any:.1f}")
        print(f"{name}: {', '.join(cells)}", flush=True)
    for arms in ((1, 1), (4, 4)):
        real = Scenario(arms, n_images=10_000, error=0.015, seed_sd=0.001 / 0.015, image_sd=0.5, gain=0.003)
        found = count_claims(real, 10, max(n_studies // 20, 50))
        print(f"power, 0.3 points, 10000 images, 10 seeds, {arms[0]} a side: {100 * found.headline:.0f} %", flush=True)
    print(f"{perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
