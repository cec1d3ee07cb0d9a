"""Subnormal numbers are zeros in a fit, whichever thread computes, and afterwards what they were."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dbn import RBM
from dbn.machine import subnormals
from dbn.machine.subnormals import flush_subnormals, subnormals_flushed, thread_flushes
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, RBMPretraining, fit, pretrain_stack
from dbn.samplers import ContrastiveDivergence
from finetune.runs.network_run import finetune, finetuning_directory
from helpers import Composer

SMALLEST_NORMAL = 2.0**-126
CAN_FLUSH = torch.set_flush_denormal(True)
torch.set_flush_denormal(False)

pytestmark = pytest.mark.skipif(not CAN_FLUSH, reason="torch cannot flush subnormal numbers on this processor")


@pytest.fixture(autouse=True)
def as_a_person_has_it() -> Iterator[None]:
    subnormals.log_failure.cache_clear()
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)


def n_subnormal(x: torch.Tensor) -> int:
    """How many there are, read from the bits: a thread that flushes sees none."""
    bits = x.detach().reshape(-1).view(torch.int32) & 0x7FFFFFFF
    return int(((bits > 0) & (bits < 0x00800000)).sum())


IN_TWO_THREADS = """
import sys
import torch
from dbn.machine import subnormals
from dbn.machine.products import OneDNN, keeps_float32

assert torch.get_num_threads() == 2
small, half = torch.full((2000, 200), 1e-20), torch.full((200, 400), 1e-20)

def bits(x):  # set in the upper and in the lower half of the rows, which different threads compute
    return [bool(rows.contiguous().view(torch.int32).any()) for rows in x.chunk(2)]

def look(name):
    found = {"elementwise": bits(small * 0.5e-20), "mkl": bits(small @ half)}
    if keeps_float32():  # with AMX it rounds, flushes always, and no fit takes it
        with OneDNN():
            found["onednn"] = bits(small @ half)
    layer = torch.nn.Linear(200, 400)
    layer.weight.data.fill_(1e-20)
    x = torch.ones(2000, 200, requires_grad=True)
    layer(x).backward(torch.full((2000, 400), 1e-20))
    found["backward"] = bits(x.grad)
    fused = torch.full((2000, 200), 1e-38)
    torch._fused_sgd_([fused], [torch.zeros_like(fused)], [], weight_decay=1.0, momentum=0.0, lr=0.9, dampening=0.0,
                      nesterov=False, maximize=False, is_first_step=False)
    found["optimiser"] = bits(fused)
    print(name, found)

look("before")  # and the pool exists
if "kept" in sys.argv:
    subnormals.end_thread_pool = lambda: None
with subnormals.subnormals_flushed():
    look("within")
look("after")
"""


def in_two_threads(*arguments: str) -> dict[str, dict[str, list[bool]]]:
    """What the script says: whether each half of the rows of each result has a bit set."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", IN_TWO_THREADS, *arguments]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return {line.split(" ", 1)[0]: eval(line.split(" ", 1)[1]) for line in printed.splitlines()}


def test_every_thread_of_a_pool_that_exists_flushes_in_every_library() -> None:
    found = in_two_threads()
    for state, halves in (("before", [True, True]), ("within", [False, False]), ("after", [True, True])):
        for library, seen in found[state].items():
            assert seen == halves, f"{library} {state}"


def test_a_pool_that_is_kept_does_not_flush() -> None:
    """Were the worker's half zero anyway, the test above would show nothing."""
    assert in_two_threads("kept")["within"]["elementwise"] == [False, True]


@pytest.mark.parametrize("public", ["fit", "pretrain_stack"])
@pytest.mark.parametrize("before", [False, True])
def test_a_fit_flushes_and_leaves_the_thread_as_it_was(public: str, before: bool, digits_data: Any) -> None:
    found = []

    class Watching(ContrastiveDivergence):
        def write_negative_states(self, *args: Any, **kwargs: Any) -> None:
            for work in (lambda: found.append(thread_flushes()),) * 2:
                thread = Thread(target=work)  # as the one that reads images ahead
                thread.start()
                thread.join()
                work()
            super().write_negative_states(*args, **kwargs)

    torch.set_flush_denormal(before)
    if public == "fit":
        fit(RBM(Bernoulli(64), Bernoulli(5)), torch.rand(20, 64), epochs=1, sampler=Watching())
    else:
        layers = [LayerSettings(n_hidden=5, epochs=1)]
        pretrain_stack(digits_data, layers, method=RBMPretraining(Watching), progress=False)
    assert set(found) == {True}
    assert thread_flushes() is before


def test_the_thread_is_as_it_was_after_an_error_too() -> None:
    def stopped() -> None:
        with subnormals_flushed():
            assert thread_flushes()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert not thread_flushes()


def test_a_machine_that_cannot_flush_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "set_flush_denormal", lambda flush: False)
    with caplog.at_level(logging.INFO, logger="dbn"):
        assert not flush_subnormals()
        with subnormals_flushed():
            assert not thread_flushes()
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "Subnormal numbers cannot be taken for zeros" in caplog.text


def test_dead_units_leave_no_subnormal_number(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weight decay shrinks weights and momentum of dead units by a factor per step.

    Without the setting they get stuck in the subnormal range, which this test would show; a run that is resumed from
    such a checkpoint leaves it.
    """
    settings = [
        "arm=random_relu", "init._target_=own.dead.Dead", "stack.layers=[20]", "optimizer.weight_decay=0.02",
        "schedule=constant", "training.weights=last", "training.batch_size=10",
    ]  # fmt: skip

    def n_subnormal_of(name: str, *overrides: str) -> tuple[int, int, int]:
        config = compose("finetune", [*settings, f"name={name}", *overrides])
        finetune(config)
        directory = finetuning_directory(config)
        network = load_file(directory / "network.safetensors")
        first = next(x for name, x in network.items() if name.endswith("weight"))
        assert first[0].abs().max() < 1e-30, "a dead unit"
        assert first[1::2].abs().max() > 0.1, "live units"
        checkpoint = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
        (optimizer,) = checkpoint["optimizer_states"]
        momentum = [state["momentum_buffer"] for state in optimizer["state"].values()]
        found = [list(network.values()), momentum, list(checkpoint["state_dict"].values())]
        return tuple(sum(n_subnormal(x) for x in kind if x.dtype == torch.float32) for kind in found)

    assert n_subnormal_of("flushed", "training.epochs=45") == (0, 0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "set_flush_denormal", lambda flush: False)
        assert min(n_subnormal_of("kept", "training.epochs=45")) > 0
        kept = finetuning_directory(compose("finetune", [*settings, "name=kept"]))
    assert n_subnormal_of("continued", "training.epochs=46", f"continue_from={kept}") == (0, 0, 0)


COMMAND = """
import sys
from {module} import main
sys.argv[1:] = {arguments}
main()
from dbn.machine.subnormals import all_threads_flush, thread_flushes
print("at its end", thread_flushes(), all_threads_flush())
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("finetune.train", ["arm=random_relu", "training.epochs=1", "progress=false"]),
        ("dbn.pretrain", ["stack.layers=[5]", "stack.every_layer.epochs=1", "progress=false"]),
    ],
)
def test_a_command_keeps_it_on(module: str, arguments: list[str]) -> None:
    script = COMMAND.format(module=module, arguments=arguments)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert "at its end True True" in done.stdout
