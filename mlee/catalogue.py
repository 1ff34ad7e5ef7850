"""Names of models: the 2022 names, what each backend calls them, and help for names that are misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from mlee.errors import ConfigError

#: 2022 name -> torchvision name, for all of the 2022 study that torchvision has.
TORCHVISION_NAMES: dict[str, str] = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "ResNet101": "resnet101",
    "ResNet152": "resnet152",
    "ResNext50": "resnext50_32x4d",
    "ResNext101": "resnext101_32x8d",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3_small",
    "MobileNetV3Large": "mobilenet_v3_large",
    "EfficientNetB0": "efficientnet_b0",
    "EfficientNetB1": "efficientnet_b1",
    "EfficientNetB2": "efficientnet_b2",
    "EfficientNetB3": "efficientnet_b3",
    "EfficientNetB4": "efficientnet_b4",
    "EfficientNetB5": "efficientnet_b5",
    "EfficientNetB6": "efficientnet_b6",
    "EfficientNetB7": "efficientnet_b7",
    "InceptionV3": "inception_v3",
    "DenseNet121": "densenet121",
    "DenseNet169": "densenet169",
    "DenseNet201": "densenet201",
    "RegNetX400MF": "regnet_x_400mf",
    "RegNetX8GF": "regnet_x_8gf",
    "RegNetX32GF": "regnet_x_32gf",
}


def display_name(identifier: str) -> str:
    """Return the 2022 name of a torchvision model where it has one, else the identifier itself."""
    return next((name for name, known in TORCHVISION_NAMES.items() if known == identifier), identifier)


def match_name(wanted: str, known: Iterable[str]) -> str:
    """Find a model by name, forgiving case and punctuation; raises `ConfigError` that offers the closest names.

    An exact name comes first, then case is forgiven, then punctuation: `regnet_x_3_2gf` and `regnet_x_32gf` differ in
    punctuation alone and are different models. What then fits several models is refused.
    """
    names = list(dict.fromkeys(known))
    for same in (str, str.lower, _plain):
        found = [name for name in names if same(name) == same(wanted)]
        models = {TORCHVISION_NAMES.get(name, name) for name in found}
        if len(models) == 1:
            return found[0]
        if models:
            raise ConfigError(f"Model name '{wanted}' fits several models.", f"pass one of {', '.join(found)}")
    by_plain = {_plain(name): name for name in names}
    closest = difflib.get_close_matches(_plain(wanted), by_plain, n=4, cutoff=0.5)
    offered = ", ".join(by_plain[plain] for plain in closest)
    hint = f"did you mean {offered}?" if offered else "see `python infer.py --list-models`"
    raise ConfigError(f"Unknown model '{wanted}'.", hint)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
