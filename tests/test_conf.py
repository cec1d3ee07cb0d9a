"""Every file under conf/ composes, and every experiment runs."""

import json
from pathlib import Path

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig

from dbn.commands.configuration import config_directory, resolve_config
from dbn.errors import SettingError
from dbn.pretraining.from_config import layers_of
from dbn.pretraining.stack_run import pretrain, pretraining_config, pretraining_directory
from finetune.runs.fitting import make_module
from finetune.runs.network_run import finetune, finetuning_directory
from helpers import Composer, recipe_overrides

CONF = config_directory()
TRAINING = {"finetune", "pretrain", "describe"}
"""Commands whose settings are those of a run."""
PRIMARY = TRAINING | {"export", "report", "status", "predict", "features", "sample", "evaluate"}
FILES = sorted(path.relative_to(CONF) for path in CONF.rglob("*.yaml"))


def test_there_is_a_configuration_to_test() -> None:
    assert {path.stem for path in FILES if path.parent == Path()} == PRIMARY
    assert len(FILES) > 40


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != Path()], ids=str)
def test_every_choice_composes_and_resolves(path: Path, compose: Composer) -> None:
    group, choice = str(path.parent), path.stem
    if group.startswith("recipe/"):
        overrides = recipe_overrides(path)
    elif choice == "base":
        overrides = []  # only ever part of the others of its group
    else:
        overrides = [f"{group}={choice}"]
    config = compose("finetune", overrides)
    assert config["study"]
    if group.startswith("recipe/"):
        assert config["recipe"] == f"{path.parent.name}/{choice}", "a run says which recipe took part"
    assert isinstance(layers_of(config["stack"]), list)


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != Path()], ids=str)
def test_every_choice_says_what_it_is(path: Path) -> None:
    lines = [line for line in (CONF / path).read_text().splitlines() if line != "# @package _global_"]
    assert lines[0].startswith("# "), "the first line is a comment that says what this is"


@pytest.mark.parametrize("name", sorted(TRAINING))
def test_defaults_compose(name: str, compose: Composer) -> None:
    config = compose(name)
    assert config["data"]["name"] == "digits"
    assert config["seed"] == 0


FACTORIAL = {  # initialisation x activation x dropout x augmentation
    f"{start}{'_dropout' if dropout else ''}{'_augment' if augment else ''}": (init, activation, dropout, augment)
    for start, init, activation in (
        ("dbn", "FromStack", "sigmoid"),
        ("dbn_relu", "FromStack", "relu"),
        ("random_sigmoid", "Glorot", "sigmoid"),
        ("random_relu", "He", "relu"),
    )
    for dropout in (False, True)
    for augment in (False, True)
}
RELU = {"dbn_relu": ("FromStack", "relu"), "random_relu": ("He", "relu")}
MODERN = {
    f"{start}_{words}": (*of_start, "dropout" in words, "augment" in words)
    for start, of_start in RELU.items()
    for words in (
        "batchnorm", "batchnorm_dropout", "batchnorm_augment", "batchnorm_dropout_augment", "layernorm",
        "layernorm_augment", "adamw", "augment_adamw", "augment_mixup",
    )
}  # fmt: skip
OTHER_USES = {  # of unlabelled images
    f"{start}{'_augment' if augment else ''}": (init, activation, False, augment)
    for start, init, activation in (
        ("dae", "FromStack", "sigmoid"),
        ("dae_relu", "FromStack", "relu"),
        ("joint_autoencoder_relu", "FromStack", "relu"),
        ("pca_relu", "FirstLayers", "relu"),
        ("random_relu_pseudo_labels", "He", "relu"),
        ("random_relu_fixmatch", "He", "relu"),
    )
    for augment in (False, True)
}
NO_CONTENDERS = {
    "marginals": "a control",
    "random_tanh": "nothing pretrains for tanh",
    **dict.fromkeys(OTHER_USES, "another use of unlabelled images"),
}
CONVOLUTIONAL = {
    f"conv_{arm}": of_arm
    for arm, of_arm in (FACTORIAL | MODERN).items()
    if not (arm.startswith("random_sigmoid") and "dropout" in arm)
    and arm not in ("dbn_dropout", "dbn_dropout_augment")
    and not {"layernorm", "adamw", "mixup"} & set(arm.split("_"))
    and (not {"batchnorm", "dropout"} <= set(arm.split("_")) or "augment" in arm.split("_"))
}
ARMS = FACTORIAL | MODERN | OTHER_USES | CONVOLUTIONAL | {
    "dbn_batchnorm": ("FromStack", "sigmoid", False, False),
    "dbn_relu_augment_both": ("FromStack", "relu", False, True),
    "dbn_relu_dropout_augment_both": ("FromStack", "relu", True, True),
    "marginals": ("Marginals", "sigmoid", False, False),
    "random_relu_orthogonal": ("Orthogonal", "relu", False, False),
    "random_relu_orthogonal_augment": ("Orthogonal", "relu", False, True),
    "random_relu_orthogonal_dropout_augment": ("Orthogonal", "relu", True, True),
    "random_sigmoid_batchnorm": ("Glorot", "sigmoid", False, False),
    "random_sigmoid_standard": ("Glorot", "sigmoid", False, False),
    "random_tanh": ("Glorot", "tanh", False, False),
}  # fmt: skip


def test_the_arms_are_these() -> None:
    assert {path.stem for path in FILES if str(path.parent) == "arm"} == set(ARMS)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_what_its_name_says(arm: str, compose: Composer) -> None:
    config = compose("finetune", [f"arm={arm}"])
    network, augment = config["network"], config["augment"]
    found = (
        config["init"]["_target_"].rsplit(".", 1)[-1],
        network["activation"],
        network["dropout_hidden"] > 0 and network["dropout_input"] > 0,
        any(value > 0 for key, value in augment.items() if key != "elastic_sigma"),
    )
    assert found == ARMS[arm]
    words = set(arm.split("_"))
    normalisation = {"batchnorm": "batch", "layernorm": "layer"}
    assert [network["normalisation"]] == [normalisation[word] for word in words & {*normalisation}] or [None]
    assert (config["training"]["mixup"] is not None) == ("mixup" in words)
    assert config["optimizer"]["_target_"].endswith(".AdamW" if "adamw" in words else ".SGD")
    assert any(config["stack"]["augment"][key] > 0 for key in ("rotation", "scale")) == ("both" in words)
    assert config["arm"]["name"] == config["name"] == arm
    assert (config["stack"] == compose("finetune", [f"arm={arm}", "stack=convolutional"])["stack"]) == ("conv" in words)


def is_pretrained(arm: str) -> bool:
    """Whether an arm starts from a stack of RBMs, by its name."""
    return arm.removeprefix("conv_").startswith("dbn")


def without_start(arm: str) -> str:
    """All settings of an arm but where its weights come from, its name, and the rate, chosen for each start.

    A search of pretrained arms goes over settings of pretraining, too.
    """
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = resolve_config(hydra.compose("finetune", [f"arm={arm}"]))
    config["layers"] = config["stack"]["layers"]
    for key in ("init", "stack", "arm", "base_name", "name"):
        del config[key]
    config["space"] = {key: own for key, own in config["space"].items() if not key.startswith(("stack.", "sampler."))}
    rate = config["training"].pop("learning_rate")
    assert config["schedule"]["factory"].pop("max_lr", rate) == rate
    return json.dumps(config, sort_keys=True)


@pytest.fixture(scope="module")
def twins() -> dict[str, set[str]]:
    """Of each contender those on the other side that differ in the starting weights alone."""
    settings = {arm: without_start(arm) for arm in set(ARMS) - set(NO_CONTENDERS)}
    return {
        arm: {
            other
            for other in settings
            if settings[other] == settings[arm] and is_pretrained(other) != is_pretrained(arm)
        }
        for arm in settings
    }


def test_every_arm_has_a_twin(twins: dict[str, set[str]]) -> None:
    assert [arm for arm, others in twins.items() if not others] == []
    assert twins["dbn_relu_batchnorm_augment"] == {"random_relu_batchnorm_augment"}
    assert twins["random_relu_orthogonal_augment"] == {"dbn_relu_augment", "dbn_relu_augment_both"}
    assert twins["random_sigmoid_standard"] == {"dbn"}
    assert twins["conv_dbn_relu_dropout_augment"] == {"conv_random_relu_dropout_augment"}
    assert twins["conv_random_sigmoid"] == {"conv_dbn"}


NO_CONTEST = {"aa", "hidden_units", "ladder", "pretraining_epochs", "tune_pretraining"}
"""Sweeps of one arm, of steps that build on each other, or of stacks alone."""


@pytest.mark.parametrize("sweep", sorted({path.stem for path in FILES if str(path.parent) == "sweep"} - NO_CONTEST))
def test_a_sweep_has_as_many_contenders_a_side_and_twins_of_all(sweep: str, twins: dict[str, set[str]]) -> None:
    arms = set(_swept(sweep)["arm"])
    contenders = arms & twins.keys()
    assert arms - contenders <= {"marginals"}
    assert sum(is_pretrained(arm) for arm in contenders) * 2 == len(contenders)
    assert [arm for arm in contenders if not twins[arm] & contenders] == []


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "dbn"),
        (["start=dbn_relu", "stack=convolutional", "augment=affine"], "conv_dbn_relu_augment"),
        (
            ["stack.layers=[{n_hidden:9,connection:{kind:convolution,kernel:3}},20]", "augment@stack.augment=affine"],
            "conv_dbn_stack_augment",
        ),
        (["network=lenet", "start=random_relu", "dropout=hidden"], "lenet_random_relu_dropout"),
        (["network=lenet", "start=random_relu", "stack=convolutional"], "lenet_random_relu"),
        (["arm=conv_random_relu", "normalisation=response"], "conv_random_relu_responsenorm"),
        (["network=alexnet_small", "start=random_relu", "augment@stack.augment=affine"], "alexnet_small_random_relu"),
        (["start=random_relu", "network.blocks=[30]", "network.name=mine"], "mine_random_relu"),
        (["network=class_rbm", "start=random_sigmoid"], "class_rbm_random_sigmoid"),
        (["start=dbm"], "mean_field_dbm"),
        (["network=mean_field", "start=random_sigmoid"], "mean_field_random_sigmoid"),
        (["start=joint", "training.generative=0", "augment=affine"], "class_rbm_joint_augment_discriminative"),
        (["start=random_relu", "dropout=hidden", "augment=affine"], "random_relu_dropout_augment"),
        (["start=random_tanh", "dropout=hidden", "augment=affine_elastic"], "random_tanh_dropout_augment_elastic"),
        (["start=random_relu", "augment=crop"], "random_relu_augment_crop"),
        (["start=random_relu", "dropout=hidden", "augment=crop_flip"], "random_relu_dropout_augment_crop_flip"),
        (["start=dbn_relu", "augment=crop_flip_colour"], "dbn_relu_augment_crop_flip_colour"),
        (["start=dbn_relu", "augment@stack.augment=crop"], "dbn_relu_stack_augment_crop"),
        (["start=random_relu", "augment=affine", "augment.flip=0.5"], "random_relu_augment_affine_flip"),
        (["start=random_relu", "augment=affine_elastic", "augment.crop=1"], "random_relu_augment_affine_elastic_crop"),
        (["arm=dbn_dropout", "start=random_sigmoid", "augment=affine"], "random_sigmoid_dropout_augment"),
        (["start=dbn_relu", "augment@stack.augment=affine"], "dbn_relu_stack_augment"),
        (["start=random_relu", "unlabelled=fixmatch", "augment=affine"], "random_relu_fixmatch_augment"),
        (["start=dbn_relu", "unlabelled=pseudo_labels", "dropout=hidden"], "dbn_relu_pseudo_labels_dropout"),
        (["start=random_relu", "normalisation=batch", "augment=affine"], "random_relu_batchnorm_augment"),
        (["start=dbn", "normalisation=layer", "training.mixup=0.1", "optimizer=adamw"], "dbn_layernorm_mixup_adamw"),
        (["start=random_relu", "optimizer=adamw", "space=adamw"], "random_relu_adamw"),
        (
            ["start=random_relu", "optimizer=adam", "task=autoencoder", "dropout=hidden", "normalisation=layer"],
            "random_relu_layernorm_dropout",
        ),
    ],
)
def test_what_is_composed_directly_is_called_what_it_is(overrides: list[str], name: str, compose: Composer) -> None:
    """And is the same as the arm of that name, where there is one: it also says of which kind layers must be."""
    config = compose("finetune", overrides)
    assert config["name"] == config["arm"]["name"] == name
    if name in ARMS:
        arm = compose("finetune", [f"arm={name}"])
        layers = arm["arm"].pop("layers", None)
        assert layers == ("convolutional" if name.startswith("conv_") else None)
        assert config == arm


@pytest.mark.parametrize(
    ("overrides", "rate"),
    [
        (["arm=dbn"], 0.3),
        (["arm=random_relu"], 0.1),
        (["arm=random_relu_dropout"], 0.03),  # beside dropout it wants another one
        (["optimizer=adam", "arm=random_relu_dropout"], 0.001),
        (["optimizer=adam", "experiment=ladder_5_relu"], 0.001),
        (["optimizer=adam", "experiment=mnist_2006", "arm=dbn"], 0.001),  # its recipe is for SGD
        (["arm=random_relu_batchnorm_dropout"], 0.1),
        (["experiment=mnist_2006", "arm=random_relu_adamw"], 0.001),
        (["experiment=mnist_2006", "arm=random_relu_batchnorm"], 0.03),
        (["experiment=mnist_2006"], 0.4),
        (["training.learning_rate=0.7", "optimizer=adam", "experiment=mnist_2006"], 0.7),
    ],
)
def test_the_learning_rate_is_that_of_what_is_said_most_precisely(
    overrides: list[str], rate: float, compose: Composer
) -> None:
    config = compose("finetune", overrides)
    assert config["training"]["learning_rate"] == rate
    assert config["schedule"]["factory"].get("max_lr", rate) == rate


def _swept(sweep: str) -> dict[str, list[str]]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        sweeper = hydra.compose("finetune", [f"sweep={sweep}"], return_hydra_config=True).hydra
    assert sweeper.mode.name == "MULTIRUN"
    return {key: values.split(",") for key, values in (sweeper.sweeper.params or {}).items()}


def test_the_compare_sweep_has_ten_seeds_of_pretrained_and_random_arms() -> None:
    swept = _swept("compare")
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        assert hydra.compose("finetune", ["sweep=compare"]).n_parallel_seeds == 10
    assert {ARMS[arm][0] for arm in swept["arm"]} == {"FromStack", "Marginals", "Glorot", "He"}


def test_jobs_of_a_grid_over_what_names_an_arm_are_told_apart(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the word in its name is the same for both values."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # that of a command in another test
    names = [
        compose("finetune", ["swept=[training.mixup,optimizer]", f"training.mixup={mixup}", f"optimizer={optimizer}"])[
            "name"
        ]
        for mixup in (0.1, 0.2)
        for optimizer in ("sgd", "adam")
    ]
    assert len(set(names)) == 4


def test_twins_of_the_compute_study_differ_in_the_start_alone(twins: dict[str, set[str]], compose: Composer) -> None:
    """Learning rate and weight decay are where a climb begins; it chooses them for each."""
    for arm in set(_swept("compute")["arm"]) & twins.keys():
        for twin in twins[arm] & set(_swept("compute")["arm"]):
            configs = [
                compose("finetune", ["sweep=compute", "experiment=mnist_2006", f"arm={own}"])  # has recipes
                for own in (arm, twin)
            ]
            mine, other = ({key: config[key] for key in ("training", "optimizer", "network")} for config in configs)
            for own in (mine, other):
                del own["training"]["learning_rate"], own["optimizer"]["weight_decay"]
            assert mine == other, (arm, twin)


def test_the_factorial_has_every_combination() -> None:
    assert set(_swept("factorial")["arm"]) == set(FACTORIAL)


@pytest.mark.parametrize("sweep", sorted(path.stem for path in FILES if str(path.parent) == "sweep"))
def test_every_arm_of_a_sweep_is_there(sweep: str) -> None:
    assert set(_swept(sweep).get("arm", [])) <= set(ARMS)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimiser_trains_with_every_schedule(schedule: str, optimizer: str, compose: Composer) -> None:
    small = ["stack.layers=[10]", "training.epochs=2", "arm=random_relu"]
    result = finetune(compose("finetune", [f"schedule={schedule}", f"optimizer={optimizer}", *small]))
    assert result["metrics"]["train/nll"] < 2.3  # better than chance, ln 10


def test_a_schedule_is_told_the_length_of_training(compose: Composer, digits_data: object) -> None:
    from finetune.networks.network import Network
    from finetune.tasks.settings import TrainingSettings

    config = compose("finetune", ["training.learning_rate=0.5", "training.epochs=3", "training.batch_size=50"])
    settings = TrainingSettings(**config["training"])
    module = make_module(Network.dense([64, 10]), digits_data, settings, config, [0])  # type: ignore[arg-type]
    scheduler = module.configure_optimizers()["lr_scheduler"]["scheduler"]
    assert scheduler.total_steps == 3 * 23  # 1149 images in minibatches of 50


@pytest.mark.parametrize(("share", "epochs"), [(0.05, 20), (1 / 3, 3), (0.1, 10), (0.05, 19), (0.05, 21)])
def test_one_cycle_may_rise_for_exactly_one_step(share: float, epochs: int, compose: Composer) -> None:
    """Its rise is then zero long, by which torch divides (2.13)."""
    changes = ["stack.layers=[10]", "arm=random_relu", f"training.epochs={epochs}", "training.batch_size=1149"]
    result = finetune(compose("finetune", [*changes, f"schedule.factory.pct_start={share}"]))
    assert result["epochs"] == epochs


EXPERIMENTS = sorted(path.stem for path in FILES if str(path.parent) == "experiment")
LADDER = [name for name in EXPERIMENTS if name.startswith("ladder_")]


CONVOLUTIONAL_EXPERIMENTS = ("label_efficiency_convolutional", "mnist_convolutional")
STACKS_ALONE = ("mnist_rbm500_pcd",)
"""Experiments on data without labels, for dbn-pretrain."""


@pytest.mark.parametrize("experiment", STACKS_ALONE)
def test_an_experiment_of_a_stack_alone_runs(experiment: str, compose: Composer, data_root: Path) -> None:
    config = compose("pretrain", [f"experiment={experiment}", "debug=fast"])
    assert pretrain(config)["stage"] == "pretrain"
    assert (pretraining_directory(config) / "dbn.safetensors").is_file()


@pytest.mark.parametrize("experiment", sorted(set(EXPERIMENTS) - set(LADDER) - set(STACKS_ALONE)))
@pytest.mark.parametrize("arm", ["dbn", "random_relu"])
def test_every_experiment_runs(experiment: str, arm: str, compose: Composer, data_root: Path) -> None:
    """One block of each stage on the real data."""
    name = f"conv_{arm}" if experiment in CONVOLUTIONAL_EXPERIMENTS else arm
    chosen = f"arm={name}"
    if experiment == "mnist_classrbm":  # class RBMs are arms of their own
        name, chosen = {
            "dbn": ("class_rbm_joint", "start=joint"),
            "random_relu": ("class_rbm_random_sigmoid", "start=random_sigmoid"),
        }[arm]
    network = []
    if experiment == "mnist_dbn_updown":  # likewise, above layers that the up-down algorithm has trained
        start = {"dbn": "dbn", "random_relu": "random_sigmoid"}[arm]
        name, chosen, network = f"class_rbm_{start}", f"start={start}", ["network=class_rbm"]
    if experiment == "mnist_dbm":
        chosen = {"dbn": "start=dbm", "random_relu": "start=random_sigmoid"}[arm]
        name = f"mean_field_{chosen.removeprefix('start=')}"
    config = compose("finetune", [f"experiment={experiment}", *network, chosen, "debug=fast"])
    result = finetune(config)
    assert result["arm"] in (name, f"{name}_augment_elastic"), "it may be about deformed images"
    assert (finetuning_directory(config) / "result.json").is_file()


@pytest.mark.parametrize("experiment", LADDER)
def test_every_step_of_the_ladder_runs_and_says_which_it_is(experiment: str, compose: Composer) -> None:
    result = finetune(compose("finetune", [f"experiment={experiment}", "debug=fast"]))
    assert result["config"]["ladder"]["step"] == int(experiment.split("_")[1])
    assert result["kind"] == ("pretrained" if experiment == "ladder_4_deep_pretrained" else "random")


def test_no_hidden_layer_is_nothing_to_pretrain(compose: Composer) -> None:
    with pytest.raises(SettingError, match=r"stack\.layers=\[\]"):
        finetune(compose("finetune", ["stack.layers=[]", "arm=dbn"]))
    assert finetune(compose("finetune", ["stack.layers=[]", "arm=random_relu", "debug=fast"]))["sizes"] == [64, 10]


def test_debug_runs_leave_other_studies_alone(compose: Composer) -> None:
    for path in FILES:
        if str(path.parent) == "debug":
            assert compose("finetune", [f"debug={path.stem}"])["study"].startswith("debug_")


def test_pretraining_alone_and_inside_fine_tuning_are_the_same_run(compose: Composer) -> None:
    """dbn-pretrain, then dbn-finetune: the stack is found, not trained again."""
    small = ["stack.layers=[12]", "stack.every_layer.epochs=2"]
    alone = pretrain(compose("pretrain", small))
    result = finetune(compose("finetune", [*small, "training.epochs=2", "data.n_labelled=100"]))
    assert result["pretrain_seconds"] == alone["seconds"]


def test_stacks_and_runs_of_the_sweep_over_pretraining_epochs_have_names_of_their_own(compose: Composer) -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        parameters = hydra.compose("finetune", ["sweep=pretraining_epochs"], return_hydra_config=True).hydra.sweeper
    lengths = parameters.params["stack.every_layer.epochs"].split(",")
    configs = [compose("finetune", ["sweep=pretraining_epochs", f"stack.every_layer.epochs={n}"]) for n in lengths]
    stacks = {pretraining_directory(pretraining_config(config)) for config in configs}
    assert len(stacks) == len(lengths) >= 4
    assert len({finetuning_directory(config) for config in configs}) == len(lengths)
