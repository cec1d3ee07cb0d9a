"""The bits that small runs come to: ``bits.py record FILE``, then ``bits.py compare FILE FILE`` says which differ.

For changes that must not change a result: record before, record after on the same machine, compare. Runs go through the
commands and cover each pair of unit types, CD and PCD, groups of seeds, bfloat16, augmentation, images in a file,
autoencoders, dropout with max-norm, and two processes. ``--source`` records another checkout with this one's
environment; a key that is called otherwise there is given its name there (``OLD_NAMES``).
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMES = ("seconds", "time")
"""Parts of names of columns and facts that a clock gives."""

FIRST = ["progress=false", "study=bits", "checkpoint_seconds=0", "data.split_seed=0"]
MEMMAP = ["data.path=FOLDER", "data.validation=200", "data.test=200", "data.maximum=255"]
SMALL = ["stack.layers=[30,20]", "stack.every_layer.epochs=3"]
FINE = ["training.epochs=4", "training.batch_size=50", *SMALL]
CODE = "stack.layers=[30,{n_hidden:8,hidden:gaussian,learning_rate:0.001}]"
STANDARD = ["data.standardise=true", "stack.visible=gaussian", "stack.every_layer.learning_rate=0.001"]

RUNS: dict[str, tuple[str, list[str]]] = {
    "bernoulli-bernoulli, CD-1": ("pretrain", SMALL),
    "bernoulli-bernoulli, CD-3": ("pretrain", [*SMALL, "STEPS=3"]),
    "bernoulli-bernoulli, PCD-2": (
        "pretrain",
        [*SMALL, "sampler=pcd", "STEPS=2", "stack.every_layer.learning_rate=0.02"],
    ),
    "bernoulli-bernoulli, sampled visible units": ("pretrain", [*SMALL, "sampler.sample_visible=true"]),
    "bernoulli-gaussian": (
        "pretrain",
        [
            "stack.layers=[{n_hidden:30},{n_hidden:20,hidden:gaussian,learning_rate:0.001}]",
            "stack.every_layer.epochs=3",
        ],
    ),
    "bernoulli-relu": (
        "pretrain",
        [
            *SMALL,
            "stack.every_layer.hidden=relu",
            "stack.every_layer.learning_rate=0.001",
            "stack.every_layer.weight_std=0.01",
        ],
    ),
    "gaussian-bernoulli": ("pretrain", [*SMALL, *STANDARD, "stack.every_layer.bias_from_data=true"]),
    "gaussian-gaussian": ("pretrain", [*SMALL, *STANDARD, "stack.every_layer.hidden=gaussian"]),
    "gaussian-relu": (
        "pretrain",
        [*SMALL, *STANDARD, "stack.every_layer.hidden=relu", "stack.every_layer.weight_std=0.01"],
    ),
    "three seeds together": ("pretrain", [*SMALL, "n_parallel_seeds=3"]),
    "three seeds together, PCD": (
        "pretrain",
        [*SMALL, "n_parallel_seeds=3", "sampler=pcd", "stack.every_layer.learning_rate=0.02"],
    ),
    "bf16": ("pretrain", [*SMALL, "precision=bf16"]),
    "bf16, two seeds": ("pretrain", [*SMALL, "precision=bf16", "n_parallel_seeds=2"]),
    "Adam": (
        "pretrain",
        [*SMALL, "stack.optimizer._target_=torch.optim.Adam", "stack.every_layer.learning_rate=0.001"],
    ),
    "augmented": ("pretrain", [*SMALL, "augment@stack.augment=affine"]),
    "augmented, two seeds": ("pretrain", [*SMALL, "augment@stack.augment=affine", "n_parallel_seeds=2"]),
    "representations computed": ("pretrain", [*SMALL, "data.representations=compute"]),
    "representations on disk": ("pretrain", [*SMALL, "data.representations=disk"]),
    "images in a file": (
        "pretrain",
        [
            *SMALL,
            "data=memmap",
            "data.path=FOLDER",
            "data.validation=200",
            "data.test=200",
            "data.maximum=255",
            "data.representations=disk",
        ],
    ),
    "two processes": ("pretrain", [*SMALL, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]),
    "arm dbn": ("finetune", ["arm=dbn", *FINE]),
    "arm dbn, two seeds": ("finetune", ["arm=dbn", *FINE, "n_parallel_seeds=2"]),
    "arm dbn_relu_dropout_augment_both": ("finetune", ["arm=dbn_relu_dropout_augment_both", *FINE]),
    "arm marginals": ("finetune", ["arm=marginals", *FINE]),
    "arm random_relu_dropout, max-norm": (
        "finetune",
        ["arm=random_relu_dropout", *FINE, "training.max_norm=1.0", "training.label_smoothing=0.1"],
    ),
    "arm random_relu_dropout, three seeds": (
        "finetune",
        ["arm=random_relu_dropout", *FINE, "training.max_norm=1.0", "n_parallel_seeds=3", "features=4"],
    ),
    "arm random_relu_augment": ("finetune", ["arm=random_relu_augment", *FINE]),
    "arm random_tanh, bf16, Adam": ("finetune", ["arm=random_tanh", *FINE, "precision=bf16", "optimizer=adam"]),
    "head first, cosine, trajectory": (
        "finetune",
        ["arm=dbn", *FINE, "training.head_epochs=2", "schedule=cosine", "training.trajectory=20"],
    ),
    "squared loss": (
        "finetune",
        ["arm=random_sigmoid_standard", *FINE, "training.loss=squared", "training.weights=last"],
    ),
    "perceptron": ("finetune", ["experiment=ladder_1_perceptron", "training.epochs=2"]),
    "autoencoder": (
        "finetune",
        ["arm=dbn", "task=autoencoder", "optimizer=adam", "SPACE=autoencoder", *FINE, CODE],
    ),
    "autoencoder, two seeds": (
        "finetune",
        [
            "arm=random_relu",
            "task=autoencoder",
            "optimizer=adam",
            "SPACE=autoencoder",
            *FINE,
            CODE,
            "n_parallel_seeds=2",
        ],
    ),
    "two processes, fine-tuning": (
        "finetune",
        ["arm=random_relu_dropout", *FINE, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"],
    ),
    "images in a file, fine-tuning": (
        "finetune",
        [
            "arm=dbn",
            *FINE,
            "data=memmap",
            "data.path=FOLDER",
            "data.validation=200",
            "data.test=200",
            "data.maximum=255",
        ],
    ),
}
OLD_NAMES = {"STEPS": "stack.every_layer.steps", "SPACE": "search"}
NEW_NAMES = {"STEPS": "sampler.steps", "SPACE": "space"}


def digest_of_tensors(file: Path) -> str:
    """Of names, types and bytes of a safetensors file's tensors, whatever its header says besides."""
    import torch
    from safetensors.torch import load_file

    found = hashlib.sha256()
    tensors = load_file(file)
    of_stack = any(".connection." in name for name in tensors)
    for name, tensor in sorted((as_in_format_1(name, of_stack), tensor) for name, tensor in tensors.items()):
        if name.startswith("inputs."):
            continue
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def as_in_format_1(name: str, of_stack: bool) -> str:
    """What a tensor was called before stacks had connections and networks had blocks."""
    if of_stack:
        return name.replace("layers.", "rbms.").replace("connection.", "")
    return name.replace("blocks.", "layers.").replace(".layer.", ".")


def digests(directory: Path) -> dict[str, str]:
    """Of everything a run left that no clock has touched, by file."""
    found = {}
    for file in sorted(directory.rglob("*")):
        run = file.parent.name.rpartition("_seed")
        where = f"{file.parent.parent.name} seed{run[2]}/{file.name}"
        if file.suffix == ".safetensors" and "checkpoints" not in file.parts:
            found[where] = digest_of_tensors(file)
        elif file.name in ("predictions.npz", "pictures.npz", "trajectory.npz"):
            found[where] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        elif file.name == "metrics.csv":
            rows = list(csv.reader(file.open()))
            kept = [k for k, name in enumerate(rows[0]) if not any(time in name for time in TIMES)]
            text = "\n".join(",".join(row[k] for k in kept) for row in rows)
            found[where] = hashlib.sha256(text.encode()).hexdigest()[:16]
        elif file.name == "result.json":
            result = json.loads(file.read_text())
            facts = {
                key: result.get(key) for key in ("metrics", "flops", "precision", "n_parameters", "weights", "epochs")
            }
            found[where] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return found


def memmap(folder: Path) -> Path:
    """A file of images of one's own, larger than a window."""
    import numpy as np
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    np.save(folder / "images.npy", (X.reshape(-1, 8, 8) / 16 * 255).astype(np.uint8))
    np.save(folder / "labels.npy", y)
    return folder


def record(source: Path, only: list[str]) -> dict[str, dict[str, str]]:
    """Digests of every run's files."""
    names = OLD_NAMES if "steps:" in (source / "conf/stack/base.yaml").read_text() else NEW_NAMES
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = memmap(Path(temporary))
        for number, (title, (stage, overrides)) in enumerate(RUNS.items()):
            if only and not any(words in title for words in only):
                continue
            given = [o.replace("FOLDER", str(folder)) for o in overrides]
            for word, name in names.items():
                given = [f"{name}={o[len(word) + 1 :]}" if o.startswith(f"{word}=") else o for o in given]
            runs = Path(temporary) / f"runs{number}"
            module = {"pretrain": "dbn.pretrain", "finetune": "finetune.train"}[stage]
            done = subprocess.run(
                [sys.executable, "-m", module, *FIRST, *given, f"paths.runs={runs}"],
                env={**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"},
                cwd=temporary, capture_output=True, text=True, check=False,
            )  # fmt: skip
            found[title] = (
                digests(runs) if done.returncode == 0 else {"failed": done.stderr[-600:] + done.stdout[-300:]}
            )
            print(title, len(found[title]), found[title].get("failed", ""), flush=True)
    return found


def compare(before: Path, after: Path) -> int:
    """Print every run whose files differ; returns how many there are."""
    old, new = json.loads(before.read_text()), json.loads(after.read_text())
    n_different = 0
    for title in old:
        if title not in new:
            continue
        different = [k for k in old[title].keys() | new[title].keys() if old[title].get(k) != new[title].get(k)]
        n_different += bool(different)
        if different:
            print(f"{title}: {', '.join(sorted(different))}")
    print(f"{len(old.keys() & new.keys())} runs, {n_different} differ")
    return n_different


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--source", type=Path, default=HERE.parent, help="checkout to record")
    parser.add_argument("--only", nargs="*", default=[], help="runs whose title contains one of these")
    options = parser.parse_args()
    if options.what == "compare":
        sys.exit(bool(compare(*options.files)))
    options.files[0].write_text(json.dumps(record(options.source, options.only), indent=1))


if __name__ == "__main__":
    main()
