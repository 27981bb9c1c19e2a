"""Architectures only: tensor in, tensor out, and the registry of their weights. No physics and no measurement here."""

from friedel.networks.cdi_nn import CdiNN
from friedel.networks.hitnet import HitNet
from friedel.networks.phase_former import PhaseFormer
from friedel.networks.phase_unet import PhaseUNet
from friedel.networks.registry import ARCHITECTURES, ModelCard, build_network, load_weights, save_weights
from friedel.networks.resnet import ResNet
from friedel.networks.vgg16 import VGG16

__all__ = [
    "ARCHITECTURES",
    "VGG16",
    "CdiNN",
    "HitNet",
    "ModelCard",
    "PhaseFormer",
    "PhaseUNet",
    "ResNet",
    "build_network",
    "load_weights",
    "save_weights",
]
