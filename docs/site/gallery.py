"""The gallery: pictures that the package's own commands draw from small stacks, trained here on the embedded digits.

The page shows the commands that are run, as they are run. They take about a minute on one core, and give the same pictures
on the same machine each time.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

EPOCHS = (1, 3, 10, 50)


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        title: its heading.
        text: a paragraph on what is seen.
        commands: for bash, run in a folder that all parts share.
        pictures: files that the commands leave, and what each shows, in words.
        with_output: whether the page shows what the commands print.
    """

    title: str
    text: str
    commands: str
    pictures: tuple[tuple[str, str], ...] = ()
    with_output: bool = False


PARTS = (
    Part(
        "Stacks",
        "Two RBMs on top of each other, 64-100-50, trained for more and more epochs from the same weights, on the same "
        "images in the same order.",
        f"""
for epochs in {" ".join(map(str, EPOCHS))}; do
    dbn-pretrain study=after_$epochs 'stack.layers=[100,50]' stack.every_layer.weight_std=0.01 stack.every_layer.epochs=$epochs
    cp runs/after_$epochs/pretrain/*_seed0/dbn.safetensors after_$epochs.safetensors
done
""",
    ),
    Part(
        "Filters of each layer",
        "What makes a unit turn on: white pixels speak for it, black ones against it. Units of the second layer are weighted "
        "sums of those of the first.",
        f"dbn-sample stack=after_{EPOCHS[-1]}.safetensors task=features output=filters.png",
        (("filters.png", "Filters of the second layer, above those of the first"),),
    ),
    Part(
        "Samples along training",
        f"Drawn by 1000 steps of Gibbs sampling in the top RBM and one way down, after {', '.join(map(str, EPOCHS[:-1]))} and "
        f"{EPOCHS[-1]} epochs. At first every sample is the average digit.",
        f"""
for epochs in {" ".join(map(str, EPOCHS))}; do
    dbn-sample stack=after_$epochs.safetensors n=36 output=samples_after_$epochs.png
done
""",
        tuple(
            (f"samples_after_{epochs}.png", f"Samples after {epochs} epoch{'s' if epochs > 1 else ''}")
            for epochs in EPOCHS
        ),
    ),
    Part(
        "Missing pixels",
        "Test images, in columns: without their lower half, which is blue; with a lower half drawn given the upper one, by "
        "Gibbs sampling with the known pixels clamped; as they are.",
        f"dbn-sample stack=after_{EPOCHS[-1]}.safetensors task=fill data=digits split=test data.split_seed=0 n=20 "
        "'mask=[4,0,4,8]' output=filled.png",
        (("filled.png", "Images with a missing lower half, filled in, and as they are"),),
    ),
    Part(
        "Reconstructions",
        "Test images, and below each what the top layer's 50 units keep of it.",
        f"dbn-sample stack=after_{EPOCHS[-1]}.safetensors task=reconstruct data=digits split=test data.split_seed=0 n=20 "
        "output=reconstructed.png",
        (("reconstructed.png", "Images and their reconstructions"),),
    ),
    Part(
        "Images of a class",
        "A class RBM knows images with their labels, and draws images given one: here twos, threes and sevens. More: "
        "[Class RBMs](../class_rbm.md).",
        """
dbn-pretrain study=classes method=class_rbm 'stack.layers=[{n_hidden:200,hidden:{kind:bernoulli_with_label,n_labels:10}}]'
cp runs/classes/pretrain/*_seed0/dbn.safetensors classes.safetensors
for label in 2 3 7; do
    dbn-sample stack=classes.safetensors label=$label n=16 output=class_$label.png
done
""",
        tuple((f"class_{label}.png", f"Samples of the class {label}") for label in (2, 3, 7)),
    ),
    Part(
        "How chains mix",
        "Fifty chains of the top RBM that start at data, and fifty from noise: when both have forgotten their start, how long a "
        "step takes to be independent of the one before, and which clusters of the data chains visit. More: "
        "[How chains mix](../likelihoods.md#how-chains-mix).",
        f"dbn-evaluate stack=after_{EPOCHS[-1]}.safetensors data=digits data.split_seed=0 chains=50 steps=2000 "
        "figure=mixing.png output=mixing.json",
        (("mixing.png", "Free energies, autocorrelations, R-hat, and visits of clusters"),),
    ),
    Part(
        "How likely data are",
        "Every number has an interval, and a sentence says how far to trust it. More: [Likelihoods](../likelihoods.md).",
        f"dbn-evaluate stack=after_{EPOCHS[-1]}.safetensors data=digits data.split_seed=0 temperatures=1000",
        with_output=True,
    ),
)


def write_gallery(folder: Path, parts: tuple[Part, ...] = PARTS) -> None:
    """Run the commands of every part, and write the page and its pictures.

    Args:
        folder: where they go; it is made.
        parts: of the page.

    Raises:
        subprocess.CalledProcessError: a command failed; what it printed is on the screen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = [
        "# Gallery\n\nPictures of models trained on the 1797 digits of 8x8 pixels that come with scikit-learn, each below the "
        "commands that draw it. `make docs` has run them all."
    ]
    with tempfile.TemporaryDirectory() as place:
        for number, part in enumerate(parts, start=1):
            print(f"gallery {number} of {len(parts)}: {part.title}", flush=True)
            printed = run(part.commands, Path(place))
            page.append(section(part, printed))
            for file, _ in part.pictures:
                shutil.copy(Path(place) / file, folder)
    (folder / "index.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


def section(part: Part, printed: str) -> str:
    """A part as Markdown."""
    pictures = " ".join(f"![{words}]({file})" for file, words in part.pictures)
    output = f"```text\n{printed.rstrip()}\n```" if part.with_output else ""
    blocks = (f"## {part.title}", part.text, f"```\n{part.commands.strip()}\n```", pictures, output)
    return "\n\n".join(filter(None, blocks))


def run(commands: str, folder: Path) -> str:
    """Run commands by bash, on one thread, so that the bits are those of the next time; what they print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"CI": "true", "COLUMNS": "100", "NO_COLOR": "1"}
    variables = {**os.environ, **quiet, "PATH": path, "OMP_NUM_THREADS": "1"}
    words = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(words, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, commands)
    return done.stdout
