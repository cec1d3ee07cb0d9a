"""``precision=auto`` goes by measurements on machines of the same kind; what was not measured is float32."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from dbn.machine import processor
from dbn.machine.precision import choose_precision
from dbn.machine.precision_table import TABLE, Line, Work, line_for
from dbn.machine.processor import processor_kind

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
PROCESSORS = {
    "Sapphire Rapids": {"vendor_id": "GenuineIntel", "cpu family": "6", "flags": "avx512f avx512_bf16 amx_bf16"},
    "Emerald Rapids without AMX": {"vendor_id": "GenuineIntel", "cpu family": "6", "flags": "avx512f avx512_bf16"},
    "Skylake": {"vendor_id": "GenuineIntel", "cpu family": "6", "flags": "avx512f"},
    "Zen 3": {"vendor_id": "AuthenticAMD", "cpu family": "25", "flags": "avx2"},
    "Zen 4": {"vendor_id": "AuthenticAMD", "cpu family": "25", "flags": "avx512f avx512_bf16"},
    "Zen 5": {"vendor_id": "AuthenticAMD", "cpu family": "26", "flags": "avx512f avx512_bf16"},
    "Zen of the future": {"vendor_id": "AuthenticAMD", "cpu family": "27", "flags": "avx512f avx512_bf16"},
    "Arm": {},
}


@dataclass(frozen=True)
class Dense:
    """A layer of a million multiplications per image."""

    operations: int = 1_000_000
    precisions: tuple[str, ...] = ("float32", "bf16", "tf32")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretend to be on a processor."""

    def pretend(name: str) -> None:
        monkeypatch.setattr(processor, "processor_info", lambda: PROCESSORS[name])

    return pretend


@pytest.mark.parametrize("work", ["rbm", "network"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sapphire Rapids", "bf16"),
        ("Emerald Rapids without AMX", "float32"),  # though it has the instructions
        ("Skylake", "float32"),
        ("Zen 3", "float32"),
        ("Zen 4", "bf16"),
        ("Zen 5", "bf16"),
        ("Zen of the future", "float32"),  # nobody has measured it
        ("Arm", "float32"),
    ],
)
def test_large_products_take_what_was_faster_on_such_processors(
    name: str, expected: str, work: Work, on: Callable[[str], None]
) -> None:
    on(name)
    chosen = choose_precision("auto", Dense(), 100, CPU, work)
    assert chosen.precision == expected
    assert re.search(r"20\d\d|no line for", chosen.decided_by), "a date, or that nobody has measured it"
    assert choose_precision("auto", Dense(6400), 100, CPU, work).precision == "float32", "too small"
    assert choose_precision("auto", Dense(), 5, CPU, work).precision == "float32", "too few images"


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("work", ["convolution", "convolutional rbm"])
def test_convolutions_are_not_decided_by_what_dense_layers_took(
    name: str, work: Work, on: Callable[[str], None]
) -> None:
    """Only where convolutions themselves were measured."""
    on(name)
    chosen = choose_precision("auto", Dense(), 100, CPU, work)
    measured = any(line.kind == processor_kind() and line.work == work for line in TABLE)
    assert chosen.precision == ("bf16" if measured else "float32")
    assert ("maps" if measured else "no line for") in chosen.decided_by


@pytest.mark.parametrize(
    ("capability", "product", "expected"),
    [
        ((9, 0), 784 * 500 * 4096, "float32"),
        ((9, 0), 4096**3, "bf16"),
        ((8, 0), 4096**3, "float32"),
        ((10, 0), 4096**3, "float32"),
    ],
)
def test_a_gpu_takes_bfloat16_only_where_it_was_measured(
    capability: tuple[int, int], product: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", Dense(product // 4096), 4096, GPU, "rbm").precision == expected
    assert choose_precision("auto", Dense(product // 4096), 4096, GPU, "network").precision == "float32", "not measured"


def test_every_line_says_what_it_rests_on() -> None:
    for line in TABLE:
        assert re.search(r"\d\d (Nov|Dec) 2026", line.measured), line
        assert re.search(r"\d\.\d|half|even", line.measured), line
        assert line.precision in ("float32", "bf16"), line
    assert len({(line.kind, line.work, line.smallest) for line in TABLE}) == len(TABLE)
    assert {processor_kind_of(name) for name in ("Sapphire Rapids", "Zen 4", "Zen 5")} <= {line.kind for line in TABLE}


def processor_kind_of(name: str) -> str:
    """Kind of one of these processors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "processor_info", lambda: PROCESSORS[name])
        return processor_kind()


def test_the_line_of_the_largest_size_below_decides() -> None:
    lines = [
        Line("it", "rbm", 0, 1, "float32", ""), Line("it", "rbm", 100, 10, "bf16", ""),
        Line("it", "rbm", 1000, 20, "tf32", ""),
    ]  # fmt: skip
    for product, expected in ((0, "float32"), (99, "float32"), (100, "bf16"), (999, "bf16"), (1000, "tf32")):
        line = line_for("it", "rbm", product, 20, lines[::-1])
        assert line is not None
        assert line.precision == expected
    for batch, expected in ((9, "float32"), (10, "bf16"), (19, "bf16"), (20, "tf32")):
        line = line_for("it", "rbm", 1000, batch, lines)
        assert line is not None
        assert line.precision == expected
    wide = [*lines, Line("it", "rbm", 2000, 20, "bf16", "", smallest_layer=100)]
    for product, expected in ((2000, "bf16"), (1980, "tf32")):
        line = line_for("it", "rbm", product, 20, wide)
        assert line is not None
        assert line.precision == expected
    narrow = line_for("it", "rbm", 2000, 40, wide)  # 50 an image
    assert narrow is not None
    assert narrow.precision == "tf32"
    assert line_for("it", "network", 1000, 20, lines) is None
    assert line_for("another", "rbm", 1000, 20, lines) is None


def test_a_layer_that_does_not_support_it_stays_in_float32(on: Callable[[str], None]) -> None:
    on("Zen 5")
    chosen = choose_precision("auto", Dense(precisions=("float32",)), 100_000, CPU, "rbm")
    assert (chosen.precision, chosen.decided_by) == ("float32", "Dense does not support bf16")
