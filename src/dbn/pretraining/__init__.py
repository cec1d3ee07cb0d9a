"""Greedy layer-wise pretraining, and the methods that train a layer."""

from dbn.pretraining.class_rbm import ClassRBMPretraining
from dbn.pretraining.conditional_rbm import ConditionalPretraining
from dbn.pretraining.contrastive import RBMPretraining
from dbn.pretraining.dbm import DBMPretraining
from dbn.pretraining.denoising import DenoisingAutoencoder, JointAutoencoder
from dbn.pretraining.fit import fit
from dbn.pretraining.fit_class_rbm import fit_class_rbm
from dbn.pretraining.fit_conditional_rbm import fit_conditional_rbm
from dbn.pretraining.fit_up_down import up_down
from dbn.pretraining.greedy import pretrain_stack, pretrain_stacks
from dbn.pretraining.growing import Pretrained, StackRun
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.principal_components import PrincipalComponents
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.up_down import UpDownPretraining

__all__ = [
    "ClassRBMPretraining",
    "ConditionalPretraining",
    "DBMPretraining",
    "DenoisingAutoencoder",
    "JointAutoencoder",
    "LayerSettings",
    "LayerTraining",
    "Pretrained",
    "PretrainingMethod",
    "PrincipalComponents",
    "RBMPretraining",
    "StackRun",
    "UpDownPretraining",
    "fit",
    "fit_class_rbm",
    "fit_conditional_rbm",
    "pretrain_stack",
    "pretrain_stacks",
    "up_down",
]
