"""Whatever the package expects Lightning, Hydra or torch to call is called by them, in fits and commands as they are.

That it is called says nothing of what it does: for that, every one of these methods has tests of what comes out.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import called
from dbn import pretrain
from dbn.data import block_loader
from dbn.data.blocks import Block
from dbn.fitting.block_module import BlockModule
from dbn.models.dbn import DBN
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.dbm_training import DBMTraining
from dbn.pretraining.denoising import DenoisingTraining
from finetune import train
from finetune.export import export_network
from finetune.networks.network import Network
from finetune.tasks import FineTuning

NOT_BY_A_FRAMEWORK = {
    "dbn.fitting.block_module.BlockModule.on_train_start": "both stages extend it, and theirs calls it",
    "dbn.fitting.metrics_file.FileLogger.log_hyperparams": "Lightning calls it where a module saves some",
    "dbn.fitting.metrics_file.FileLogger.name": "Lightning asks only where checkpoints have no folder",
    "dbn.fitting.metrics_file.FileLogger.version": "Lightning asks only where checkpoints have no folder",
    "dbn.fitting.metrics_file.MetricsFile.log_metrics": "BlockModule.log_rows calls it, in place of Lightning",
    "dbn.fitting.metrics_file.MetricsFiles.log_metrics": "BlockModule.log_rows calls log_members instead",
    "dbn.runs.wandb_points.WandbPoints.log_metrics": "BlockModule.log_rows calls it, in place of Lightning",
    "dbn.fitting.progress.FitProgress.disable": "in processes other than the first: test_processes.py",
    "dbn.machine.kernels.dropout.KernelDropout.backward": "fits on a GPU only; torch does in tests/dbn/machine/kernels",
    "dbn.machine.kernels.dropout.KernelDropout.forward": "fits on a GPU only; torch does in tests/dbn/machine/kernels",
    "dbn.models.linear.TF32Linear.backward": "fits on a GPU only; torch does in tests/dbn/machine/test_tf32.py",
    "dbn.models.linear.TF32Linear.forward": "fits on a GPU only; torch does in tests/dbn/machine/test_tf32.py",
}
NOT_AT_ALL = {
    **{
        name: why
        for name, why in NOT_BY_A_FRAMEWORK.items()
        if "calls it, in place" not in why and "theirs calls it" not in why and "on a GPU only" not in why
    },
    "dbn.fitting.block_module.BlockModule.begin_block": "both stages have their own",
    "dbn.fitting.block_module.BlockModule.why_not_recorded": "on a GPU only: tests/dbn/machine/test_cuda_graphs.py",
}


class StoppedError(Exception):
    """A crash."""


Found = tuple[called.Calls, set[str]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """What was called in a multirun of one network and in seeds that train together, both stopped within epochs.

    And in fits of other tasks, layers and data.
    """
    folder = tmp_path_factory.mktemp("hooks")
    np.savez(
        folder / "images.npz",
        images=np.random.default_rng(0).random((200, 4, 4), dtype=np.float32),
        labels=np.arange(200) % 5,
    )
    settings = [
        "arm=dbn_dropout", "data=npz", f"data.path={folder / 'images.npz'}", "data.test=40", "data.validation=40",
        "sampler=pcd", "stack.layers=[6,5]", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=20",
        "training.epochs=2", "training.batch_size=20", "training.trajectory=10", "checkpoint_seconds=1e-9",
        "precision=bf16", "task.baselines=[]",
    ]  # fmt: skip
    patch = pytest.MonkeyPatch()
    try:
        patch.chdir(folder)
        patch.setenv("CI", "true")
        patch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it for good
        patch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 40)
        asked = called.watch_resolvers(patch)
        calls = called.Calls(called.beside_frameworks() | called.expected_of_frameworks(), patch)
        alone = ["study=alone", "training.patience=5", "normalisation=batch", "-m"]
        for more in (alone, ["study=together", "n_parallel_seeds=2"]):
            patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more])
            for module in (RBMTraining, FineTuning):
                with patch.context() as crash:
                    stop(crash, module)
                    with pytest.raises(StoppedError):
                        train.main()
            train.main()
        code = "stack.layers=[6,{n_hidden:3,hidden:gaussian}]"
        more = ["arm=dbn", "task=autoencoder", "training.trajectory=0", "sampler=cd", code]
        more += ["name='${base_name}_${sizes:${stack.layers}}'", "normalisation=layer"]
        patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more])
        train.main()
        more = ["start=dae_relu", "unlabelled=fixmatch", "data.n_labelled=100", "study=unlabelled", "sampler=cd"]
        more += ["training.trajectory=0", "name='${base_name}_${label_count:${data.n_labelled}}'"]
        patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more])
        for module in (DenoisingTraining, FineTuning):
            with patch.context() as crash:
                stop(crash, module)
                with pytest.raises(StoppedError):
                    train.main()
        train.main()
        maps = ["start=dbn_relu", "normalisation=response"]
        maps += ["stack.layers=[{kind:convolution,maps:3,kernel:3,padding:1,pool:2},5]"]
        for more in (["study=maps"], ["study=maps_together", "n_parallel_seeds=2", "precision=float32"]):
            patch.setattr(sys, "argv", ["dbn-finetune", *settings, *maps, *more])
            train.main()
        more = ["arm=dbn", "start=joint", "stack.every_layer.hidden.n_labels=5", "stack.layers=[5]", "study=classes"]
        more += ["training.trajectory=0", "sampler=cd", "precision=float32"]
        patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more])
        train.main()
        more = ["arm=dbn", "start=dbm", "method.epochs=2", "study=machine", "training.trajectory=0", "sampler=cd"]
        patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more, "precision=float32"])
        with patch.context() as crash:
            stop(crash, DBMTraining)
            with pytest.raises(StoppedError):
                train.main()
        train.main()
        more = ["sweep=optuna", "study=asked", "hydra.sweeper.n_trials=1", "sampler=cd", "arm=random_relu"]
        patch.setattr(sys, "argv", ["dbn-finetune", *settings, *more])
        train.main()
        images = ("data=", "data.path=", "training.trajectory=", "sampler=")
        table = ["data=diabetes", "task=regression", "arm=dbn", "stack.every_layer.learning_rate=0.001"]
        others = [setting for setting in settings if not setting.startswith(images)]
        patch.setattr(sys, "argv", ["dbn-finetune", *others, *table, "study=numbers"])
        train.main()
        offline = ["progress=false", "logger=wandb", "logger.wandb.mode=offline"]
        patch.setattr(sys, "argv", ["dbn-pretrain", "stack.layers=[6]", "stack.every_layer.epochs=1", *offline])
        pretrain.main()
        label = "stack.layers=[6,{n_hidden:5,hidden:{kind:bernoulli_with_label,n_labels:10}}]"
        more = ["method=up_down", "method.epochs=1", label, "stack.every_layer.epochs=1", "progress=false"]
        patch.setattr(sys, "argv", ["dbn-pretrain", *more])
        pretrain.main()
        more = ["method=conditional_rbm", "stack.layers=[6]", "stack.every_layer.epochs=1", "progress=false"]
        patch.setattr(sys, "argv", ["dbn-pretrain", *more])
        pretrain.main()
        export_network(next(Path("runs/alone").rglob("network.safetensors")), format="torch_export")
        file = next(Path("runs/alone").rglob("dbn.safetensors"))
        print(DBN.load(file), Network.dense([4, 3, 2], dropout_hidden=0.2, normalisation="batch"))
        yield calls, asked
    finally:
        patch.undo()


def stop(patch: pytest.MonkeyPatch, kind: type[BlockModule]) -> None:
    """Have a crash at the third block of the second epoch."""
    begin = kind.begin_block

    def crash(self: Any, block: Block) -> Block:
        if (self.current_epoch, block.number) == (1, 2):
            raise StoppedError
        return begin(self, block)

    patch.setattr(kind, "begin_block", crash)


def test_frameworks_call_what_overrides_theirs(found: Found) -> None:
    calls, _ = found
    assert set(called.expected_of_frameworks()) - calls.by_frameworks() == set(NOT_BY_A_FRAMEWORK)


def test_nothing_waits_to_be_called_by_a_framework_that_does_not_know_of_it(found: Found) -> None:
    """A hook with a name that Lightning does not have, or had, is no override of anything: nobody calls it at all."""
    calls, _ = found
    assert set(called.beside_frameworks()) - set(calls.by) == set(NOT_AT_ALL)


def test_configurations_ask_every_resolver(found: Found) -> None:
    _, asked = found
    assert called.resolvers() == asked
    assert asked


def test_a_hook_that_nobody_calls_is_found(monkeypatch: pytest.MonkeyPatch, found: Found) -> None:
    """The tests above would fail for one: for BlockLoader.set_epoch as it was, and for a misspelt hook."""
    calls, _ = found
    monkeypatch.setattr(block_loader.BlockLoader, "set_epoch", lambda self, epoch: None, raising=False)
    monkeypatch.setattr(FineTuning, "on_train_epoch_stop", lambda self: None, raising=False)
    monkeypatch.setattr(FineTuning, "on_before_zero_grad", lambda self, optimizer: None, raising=False)
    assert "finetune.tasks.base.FineTuning.on_before_zero_grad" in (
        set(called.expected_of_frameworks()) - calls.by_frameworks()
    )
    assert {"dbn.data.block_loader.BlockLoader.set_epoch", "finetune.tasks.base.FineTuning.on_train_epoch_stop"} <= (
        set(called.beside_frameworks()) - set(calls.by)
    )
