"""Architectures that phase: a diffraction amplitude in, an object or a phase out; and their shipped weights."""

from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.bcdi.networks.phase_former import PhaseFormer
from friedel.bcdi.networks.phase_unet import PhaseUNet
from friedel.core.networks import register

register(cdi_nn=CdiNN, phase_unet=PhaseUNet, phase_former=PhaseFormer)
