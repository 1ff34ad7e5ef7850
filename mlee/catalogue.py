"""Models: their names in each backend, where they were published, and help for names that are misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

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

_PYTORCH_RECIPES = "https://github.com/pytorch/vision/tree/main/references/classification"


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a model was published, how many epochs its authors (or their recipe) trained it, and where that stands."""

    url: str
    epochs: int | None
    epochs_source: str | None = None


def _paper(arxiv: str, epochs: int | None, source: str | None = None) -> Publication:
    url = f"https://arxiv.org/abs/{arxiv}"
    return Publication(url, epochs, None if epochs is None else source or url)


_RESNET = _paper("1512.03385", 90, _PYTORCH_RECIPES)
_VGG = _paper("1409.1556", 90, _PYTORCH_RECIPES)
_RESNEXT = _paper("1611.05431", 100, _PYTORCH_RECIPES)
_REGNET = _paper("2003.13678", 100, _PYTORCH_RECIPES)
_DENSENET = _paper("1608.06993", 90)
_MOBILENET_V3 = _paper("1905.02244", 600, _PYTORCH_RECIPES)
_QUICKNET = _paper("2011.09398", 600, "https://github.com/larq/zoo/blob/main/larq_zoo/training/sota_experiments.py")
_EFFICIENTNET = _paper("1905.11946", None)

#: Facts as collected for the 2022 study (Fischer et al. 2022): paper and published number of training epochs.
PUBLICATIONS: dict[str, Publication] = {
    **dict.fromkeys(("VGG16", "VGG19"), _VGG),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), _RESNET),
    **dict.fromkeys(("ResNext50", "ResNext101"), _RESNEXT),
    **dict.fromkeys(("RegNetX400MF", "RegNetX8GF", "RegNetX32GF"), _REGNET),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), _DENSENET),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), _MOBILENET_V3),
    **dict.fromkeys(("QuickNetSmall", "QuickNet", "QuickNetLarge"), _QUICKNET),
    **{f"EfficientNetB{number}": _EFFICIENTNET for number in range(8)},
    **{f"EfficientNetLite{number}": _EFFICIENTNET for number in range(5)},
    "MobileNetV2": _paper("1801.04381", 300, _PYTORCH_RECIPES),
    "InceptionV3": _paper("1512.00567", 100),
    "InceptionResNetV2": _paper("1602.07261", 200),
    "Xception": _paper("1610.02357", None),
    "NASNetMobile": _paper("1707.07012", 100),
}


def published_epochs(model: str) -> int | None:
    """Epochs a model was trained by its publisher; `None` where that is unknown."""
    publication = PUBLICATIONS.get(model)
    return None if publication is None else publication.epochs


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
