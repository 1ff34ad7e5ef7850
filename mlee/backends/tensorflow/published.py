"""What is published about the classifiers of Keras: input, preprocessing, accuracy, parameters, MACs, each with its source.

* Sizes and modules: the functions of `keras.applications`.
* Accuracies: the table of https://keras.io/api/applications; it has none for MobileNetV3, for which the docstring of
  `keras.applications.mobilenet_v3` is taken. ConvNeXt has none here: the figures in circulation could not be traced.
* Preprocessing: the evaluation of the authors where it is public, else the usual crop of 87.5 %. EfficientNet: bicubic, a
  margin of 32 px (github.com/tensorflow/tpu, models/official/efficientnet/preprocessing.py, which larq took over for
  QuickNet). EfficientNetV2: bilinear, a margin of 32 px below 320 px of input, the whole image above
  (github.com/google/automl, efficientnetv2/preprocessing.py). ConvNeXt: bicubic, 256 px for 224
  (github.com/facebookresearch/ConvNeXt, datasets.py).
* Parameters and MACs: where Keras publishes none to the last digit, those of torchvision for the same network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KERAS_TABLE = "https://keras.io/api/applications"
#: The table of 2020 still gave whole numbers of parameters.
KERAS_TABLE_2020 = "keras-team/keras-io, commit 01b6d6c, templates/api/applications/index.md"
TORCHVISION = "torchvision, metadata of its weights for the same network"
STUDY_2022 = "results of Fischer et al. 2022"
_MOBILENET_V3 = "docstring of keras.applications.mobilenet_v3"
_LARQ = "docstrings of larq_zoo.sota"
Crop = Literal["7/8", "margin", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One classifier: accuracies [%], parameters and MACs [G] in the digits of their source."""

    module: str
    size: int = 224
    crop: Crop = "7/8"
    interpolation: str = "bilinear"
    top1: float | None = None
    top5: float | None = None
    accuracy_source: str = KERAS_TABLE
    parameters: int | str
    parameters_source: str = KERAS_TABLE_2020
    macs: str | None = None
    macs_source: str | None = TORCHVISION


def _efficientnet(
    size: int, top1: float, top5: float, parameters: int, macs: str, macs_source: str = TORCHVISION
) -> Published:
    return Published(
        module="efficientnet", size=size, crop="margin", interpolation="bicubic", top1=top1, top5=top5,
        parameters=parameters, macs=macs, macs_source=macs_source,
    )  # fmt: skip


def _efficientnet_v2(size: int, top1: float, top5: float, parameters: str, macs: str | None = None) -> Published:
    return Published(
        module="efficientnet_v2", size=size, crop="margin" if size < 320 else "whole", top1=top1, top5=top5,
        parameters=parameters, parameters_source=KERAS_TABLE, macs=macs,
    )  # fmt: skip


def _convnext(parameters: int | str, macs: str, source: str = TORCHVISION) -> Published:
    return Published(
        module="convnext", interpolation="bicubic", parameters=parameters, parameters_source=source, macs=macs,
        macs_source=source,
    )  # fmt: skip


def _resnet(top1: float, top5: float, parameters: int, macs: str | None) -> Published:
    return Published(
        module="resnet" if macs else "resnet_v2", top1=top1, top5=top5, parameters=parameters, macs=macs,
        macs_source="https://arxiv.org/abs/1512.03385",
    )  # fmt: skip


def _quicknet(top1: float, top5: float, parameters: int, macs: str) -> Published:
    return Published(
        module="larq_zoo.sota", crop="margin", interpolation="bicubic", top1=top1, top5=top5, accuracy_source=_LARQ,
        parameters=parameters, parameters_source=STUDY_2022, macs=macs, macs_source=STUDY_2022,
    )  # fmt: skip


_NASNET = "https://arxiv.org/abs/1707.07012"
_CONVNEXT = "https://arxiv.org/abs/2201.03545"

#: Keras' own names, which are those of the 2022 study, too.
PUBLISHED: dict[str, Published] = {
    "VGG16": Published(module="vgg16", top1=71.3, top5=90.1, parameters=138_357_544, macs="15.47"),
    "VGG19": Published(module="vgg19", top1=71.3, top5=90.0, parameters=143_667_240, macs="19.632"),
    "ResNet50": _resnet(74.9, 92.1, 25_636_712, "3.8"),
    "ResNet101": _resnet(76.4, 92.8, 44_707_176, "7.6"),
    "ResNet152": _resnet(76.6, 93.1, 60_419_944, "11.3"),
    "ResNet50V2": _resnet(76.0, 93.0, 25_613_800, None),
    "ResNet101V2": _resnet(77.2, 93.8, 44_675_560, None),
    "ResNet152V2": _resnet(78.0, 94.2, 60_380_648, None),
    "MobileNet": Published(
        module="mobilenet", top1=70.4, top5=89.5, parameters=4_253_864, macs="0.569",
        macs_source="https://arxiv.org/abs/1704.04861",
    ),
    "MobileNetV2": Published(
        module="mobilenet_v2", top1=71.3, top5=90.1, parameters=3_538_984, macs="0.300",
        macs_source="https://arxiv.org/abs/1801.04381",
    ),
    # The docstring's 66 M MACs and 2.9 M parameters of the small one belong to an earlier network than Keras builds.
    "MobileNetV3Small": Published(
        module="mobilenet_v3", top1=68.1, accuracy_source=_MOBILENET_V3, parameters=2_554_968,
        parameters_source=STUDY_2022, macs="0.057",
    ),
    "MobileNetV3Large": Published(
        module="mobilenet_v3", top1=75.6, accuracy_source=_MOBILENET_V3, parameters=5_507_432,
        parameters_source=STUDY_2022, macs="0.217", macs_source=_MOBILENET_V3,
    ),
    "EfficientNetB0": _efficientnet(224, 77.1, 93.3, 5_330_571, "0.386"),
    "EfficientNetB1": _efficientnet(240, 79.1, 94.4, 7_856_239, "0.687"),
    "EfficientNetB2": _efficientnet(260, 80.1, 94.9, 9_177_569, "1.0", "https://arxiv.org/abs/1905.11946"),
    "EfficientNetB3": _efficientnet(300, 81.6, 95.7, 12_320_535, "1.827"),
    "EfficientNetB4": _efficientnet(380, 82.9, 96.4, 19_466_823, "4.394"),
    "EfficientNetB5": _efficientnet(456, 83.6, 96.7, 30_562_527, "10.266"),
    "EfficientNetB6": _efficientnet(528, 84.0, 96.8, 43_265_143, "19.068"),
    "EfficientNetB7": _efficientnet(600, 84.3, 97.0, 66_658_687, "37.746"),
    "EfficientNetV2B0": _efficientnet_v2(224, 78.7, 94.3, "7.2 M"),
    "EfficientNetV2B1": _efficientnet_v2(240, 79.8, 95.0, "8.2 M"),
    "EfficientNetV2B2": _efficientnet_v2(260, 80.5, 95.1, "10.2 M"),
    "EfficientNetV2B3": _efficientnet_v2(300, 82.0, 95.8, "14.5 M"),
    "EfficientNetV2S": _efficientnet_v2(384, 83.9, 96.7, "21.6 M", "8.366"),
    "EfficientNetV2M": _efficientnet_v2(480, 85.3, 97.4, "54.4 M", "24.582"),
    "EfficientNetV2L": _efficientnet_v2(480, 85.7, 97.5, "119.0 M", "56.08"),
    "InceptionV3": Published(
        module="inception_v3", size=299, top1=77.9, top5=93.7, parameters=23_851_784, macs="5.713"
    ),
    "InceptionResNetV2": Published(
        module="inception_resnet_v2", size=299, top1=80.3, top5=95.3, parameters=55_873_736
    ),
    "Xception": Published(module="xception", size=299, top1=79.0, top5=94.5, parameters=22_910_480),
    "DenseNet121": Published(module="densenet", top1=75.0, top5=92.3, parameters=8_062_504, macs="2.834"),
    "DenseNet169": Published(module="densenet", top1=76.2, top5=93.2, parameters=14_307_880, macs="3.36"),
    "DenseNet201": Published(module="densenet", top1=77.3, top5=93.6, parameters=20_242_984, macs="4.291"),
    "NASNetMobile": Published(
        module="nasnet", top1=74.4, top5=91.9, parameters=5_326_716, macs="0.564", macs_source=_NASNET
    ),
    "NASNetLarge": Published(
        module="nasnet", size=331, top1=82.5, top5=96.0, parameters=88_949_818, macs="23.8", macs_source=_NASNET
    ),
    "ConvNeXtTiny": _convnext(28_589_128, "4.456"),
    "ConvNeXtSmall": _convnext(50_223_688, "8.684"),
    "ConvNeXtBase": _convnext(88_591_464, "15.355"),
    "ConvNeXtLarge": _convnext(197_767_336, "34.361"),
    "ConvNeXtXLarge": _convnext("350 M", "60.9", _CONVNEXT),
}  # fmt: skip

QUICKNET: dict[str, Published] = {
    "QuickNetSmall": _quicknet(59.4, 81.8, 12_664_344, "1.172"),
    "QuickNet": _quicknet(63.3, 84.6, 13_243_720, "1.880"),
    "QuickNetLarge": _quicknet(66.9, 87.0, 23_359_304, "3.730"),
}
