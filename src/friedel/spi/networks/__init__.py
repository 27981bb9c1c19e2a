"""Architectures that classify frames: images in, two scores out; and their shipped weights."""

from friedel.core.networks import register
from friedel.spi.networks.hitnet import HitNet
from friedel.spi.networks.resnet import ResNet
from friedel.spi.networks.vgg16 import VGG16

register(hitnet=HitNet, resnet=ResNet, vgg16=VGG16)
