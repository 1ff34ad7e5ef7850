"""Options with which models were trained in the study of 2022, read from its published result files.

Fischer et al., imagenet-energy-efficiency (github.com/raphischer/imagenet-energy-efficiency), `config` of its 56 files of
training; they follow torchvision's references/classification. They trained 10 epochs with batches of 32 a GPU.
"""

from __future__ import annotations

_SGD = ("--opt", "sgd", "--lr", "0.1", "--weight-decay", "1e-4", "--lr-step-size", "30", "--lr-gamma", "0.1")
_VGG = ("--opt", "sgd", "--lr", "0.01", "--weight-decay", "1e-4", "--lr-step-size", "30", "--lr-gamma", "0.1")
_MOBILENET_V2 = ("--opt", "sgd", "--lr", "0.045", "--weight-decay", "4e-5", "--lr-step-size", "1", "--lr-gamma", "0.98")
_MOBILENET_V3 = (
    *("--opt", "rmsprop", "--lr", "0.064", "--weight-decay", "1e-5", "--lr-step-size", "2", "--lr-gamma", "0.973"),
    *("--random-erase", "0.2"),
)
_EFFICIENTNET = (
    *("--opt", "rmsprop", "--lr", "0.256", "--weight-decay", "1e-5", "--lr-step-size", "2.4", "--lr-gamma", "0.97"),
)
_BY_FAMILY: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ResNet50", "ResNet101", "ResNet152", "DenseNet121", "DenseNet169", "DenseNet201"): _SGD,
    ("InceptionResNetV2", "NASNetMobile", "Xception"): _SGD,
    ("VGG16", "VGG19"): _VGG,
    ("MobileNetV2",): _MOBILENET_V2,
    ("MobileNetV3Small", "MobileNetV3Large"): _MOBILENET_V3,
    tuple(f"EfficientNetB{number}" for number in range(5)): _EFFICIENTNET,
}
RECIPES: dict[str, tuple[str, ...]] = {model: options for models, options in _BY_FAMILY.items() for model in models}
