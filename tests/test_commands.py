"""The commands as a person meets them: help, mistakes, sweeps, one's own data and configuration."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODULES = {"dbn-pretrain": "dbn.pretrain", "dbn-finetune": "finetune.train", "dbn-report": "finetune.report.command"}
SMALL = ["stack.layers=[12]", "stack.every_layer.epochs=2", "training.epochs=2"]


def call(folder: Path, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true", "COLUMNS": "120", **environment}
    words = [sys.executable, "-m", MODULES[command], *arguments]
    return subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("command", MODULES)
def test_help_shows_examples_and_settings(command: str, tmp_path: Path) -> None:
    done = call(tmp_path, command, "--help")
    assert done.returncode == 0
    assert f"  {command} " in done.stdout
    assert "reference" in done.stdout or "optimizer" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["arm=dnb"], ["arm=dnb: no such choice", "Did you mean dbn", "random_relu"]),
        (["optimizer.momntum=0.5"], ["optimizer.momntum", "Did you mean optimizer.momentum"]),
        (["lr=0.5"], ["Use training.learning_rate"]),
        (["training.learning_rate=-1", "arm=random_relu"], ["training.learning_rate=-1", "a number from 0"]),
        (["data.n_labelled=5"], ["data.n_labelled=5 is too few for data=digits", "10 to 1149"]),
        (["training.epochs=2.5"], ["training.epochs=2.5", "whole number"]),
        (["+training.epoch=2"], ["training.epoch: no such setting", "Did you mean epochs"]),
        (["data=npz"], ["data.path"]),
        (["data=npz", "data.path=missing.npz"], ["missing.npz"]),
        (["network.activation=relu"], ["pretrained with sigmoid"]),
        (["trainer.devices=0"], ["trainer"]),
        (["task=autoencoder", "arm=dbn"], ["hidden: gaussian"]),
        (["init.stack=nothing.safetensors"], ["nothing.safetensors", "no such DBN file"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_a_message_and_status_2(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = call(tmp_path, "dbn-finetune", *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_the_traceback_is_there_for_those_who_ask(tmp_path: Path) -> None:
    done = call(tmp_path, "dbn-finetune", "data.n_labelled=5", HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_report_without_a_study_and_of_a_missing_one(tmp_path: Path) -> None:
    for arguments, word in (([], "path"), (["nothing"], "nothing")):
        done = call(tmp_path, "dbn-report", *arguments)
        assert done.returncode == 2
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_a_sweep_with_a_failing_arm_keeps_the_others_and_reports_it(tmp_path: Path) -> None:
    swept = ["-m", "study=s", "arm=random_relu", "seed=0,1", "training.learning_rate=0.1,-1", *SMALL]
    done = call(tmp_path, "dbn-finetune", *swept)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    study = tmp_path / "runs/s"
    finished = sorted(path.parent.name for path in study.rglob("result.json"))
    assert finished == [f"random_relu_training.learning_rate=0.1_seed{seed}" for seed in (0, 1)]
    page = (study / "report.html").read_text()
    assert "training.learning_rate=-1: it must be a number from 0" in page
    assert "random_relu_training.learning_rate=-1" in page


def test_the_same_sweep_again_does_only_what_is_missing(tmp_path: Path) -> None:
    swept = ["arm=random_relu", "seed=0,1", "-m", "study=s", *SMALL]
    assert call(tmp_path, "dbn-finetune", *swept).returncode == 0
    results = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert len(results) == 2
    gone = next(iter(results))
    gone.unlink()
    assert call(tmp_path, "dbn-finetune", *swept).returncode == 0
    assert gone.is_file()
    assert all(path.stat().st_mtime_ns == time for path, time in results.items() if path != gone)


def test_a_sweep_of_arms_whose_seeds_train_together(tmp_path: Path) -> None:
    swept = ["-m", "study=s", "arm=dbn,random_relu", "n_parallel_seeds=3", *SMALL]
    done = call(tmp_path, "dbn-finetune", *swept)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "runs/s"
    for stage, n in (("pretrain", 3), ("finetune", 6)):
        assert len(list((study / stage).glob("*/result.json"))) == n
    (study / "finetune/random_relu_seed2/result.json").unlink()
    page = call(tmp_path, "dbn-report", "runs/s")
    assert page.returncode == 0, page.stderr
    assert "random_relu, seed 2" in (study / "report.html").read_text()
    assert call(tmp_path, "dbn-finetune", *swept).returncode == 0
    assert (study / "finetune/random_relu_seed2/result.json").is_file()


def test_one_s_own_images_own_stack_and_own_configuration(tmp_path: Path) -> None:
    """Npz with strings for labels -> dbn-pretrain -> its DBN file -> dbn-finetune, with an arm of one's own."""
    generator = np.random.default_rng(0)
    labels = np.array(["left", "right"] * 60)
    images = generator.integers(0, 100, (120, 6, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, :3] += np.uint8(100 * (label == "left"))
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    data = ["data=npz", "data.path=mine.npz"]
    done = call(tmp_path, "dbn-pretrain", *data, "study=mine", "stack.layers=[15]", "stack.every_layer.epochs=10")
    assert done.returncode == 0, done.stderr
    (stack,) = tmp_path.glob("runs/mine/pretrain/npz_15_*_seed0/dbn.safetensors")
    (tmp_path / "conf/arm").mkdir(parents=True)
    (tmp_path / "conf/arm/mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /init: dbn]\narm: {name: mine}\n"
    )
    arguments = ["arm=mine", f"init.stack={stack}", "study=other", "training.epochs=20", "--config-dir", "conf"]
    done = call(tmp_path, "dbn-finetune", *data, *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/other/finetune/mine_seed0/result.json").is_file()
    assert not (tmp_path / "runs/other/pretrain").exists()
    assert "validation error 0.00 %" in done.stderr


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for name in ("a", "b", "c"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(0, 255, (7, 5)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    done = call(tmp_path, "dbn-finetune", "data=image_folder", "data.path=pictures", "arm=random_relu", *SMALL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/default/finetune/random_relu_seed0/result.json").is_file()


def test_images_of_whole_numbers_from_0_to_16(tmp_path: Path) -> None:
    """As in the case integers_0_to_16: refused with the range that was seen, and right once it is said."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.savez(tmp_path / "int16.npz", images=digits.images.astype(np.int16), labels=digits.target)
    np.savez(tmp_path / "unit.npz", images=digits.images / 16, labels=digits.target)
    own = ["data=npz", "arm=dbn", "progress=false", *SMALL]
    done = call(tmp_path, "dbn-finetune", *own, "data.path=int16.npz")
    assert done.returncode == 2
    assert "go from 0 to 16" in done.stderr
    assert "Set data.maximum=16 " in done.stderr
    results = []
    for study, options in (("said", ["data.path=int16.npz", "data.maximum=16"]), ("unit", ["data.path=unit.npz"])):
        done = call(tmp_path, "dbn-finetune", *own, *options, f"study={study}")
        assert done.returncode == 0, done.stderr
        results.append(json.loads((tmp_path / f"runs/{study}/finetune/dbn_seed0/result.json").read_text())["metrics"])
    assert results[0] == results[1]  # sixteenths are exact, so are all numbers that follow


def test_without_test_images_there_are_validation_errors(tmp_path: Path) -> None:
    """A stack, classifiers and their report do without; what compares on test images says what is missing."""
    done = call(tmp_path, "dbn-pretrain", "data.test=0", "stack.layers=[12]", "stack.every_layer.epochs=1")
    assert done.returncode == 0, done.stderr
    done = call(
        tmp_path, "dbn-finetune", "-m", "data.test=0", "arm=dbn,random_relu", "study=x", "progress=false", *SMALL
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "runs/x/finetune/dbn_seed0/result.json").read_text())["metrics"]
    assert {name.split("/")[0] for name in metrics} == {"train", "validation"}
    table = (tmp_path / "runs/x/table.md").read_text()
    assert "validation error" in table
    assert f"{100 * metrics['validation/error']:.2f}" in table
    autoencoder = ["task=autoencoder", "arm=random_relu", "data.test=0", "study=y", "progress=false", *SMALL]
    done = call(tmp_path, "dbn-finetune", *autoencoder)
    assert done.returncode == 2
    assert "task.baselines=[] or" in done.stderr.replace("[], or", "[] or")
    done = call(tmp_path, "dbn-finetune", *autoencoder, "task.baselines=[]")
    assert done.returncode == 0, done.stderr


def test_stacks_alone_for_a_chain_of_jobs(tmp_path: Path) -> None:
    done = call(tmp_path, "dbn-finetune", "-m", "arm=dbn,dbn_dropout,random_relu", "pretrain_only=true", *SMALL)
    assert done.returncode == 0, done.stderr
    (result,) = tmp_path.rglob("result.json")
    assert result.parent.name.startswith("digits_12_")
    assert not list(tmp_path.rglob("report.html"))


def test_a_run_that_is_terminated_says_so_and_is_not_called_failed(tmp_path: Path) -> None:
    words = [sys.executable, "-m", MODULES["dbn-finetune"], "arm=random_relu", "training.epochs=100000"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.rglob("metrics.csv")) and process.poll() is None:
            time.sleep(0.1)
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 143, said
    assert "Stopped by SIGTERM. The same command goes on" in said
    assert not list(tmp_path.rglob("error.txt"))
