"""A few real photographs that come inside installed packages: enough to see that weights and preprocessing are right.

They are read where scikit-image and scikit-learn keep them. All are free of licence or, `china.jpg`, CC BY (see the README
files beside them). As in the ImageNet-ReaL labels (Beyer et al. 2020, arXiv:2006.07159) several classes may be right for one
photograph. Six photographs are a sanity check: the share that is right is not an ImageNet accuracy.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mlee.datasets import ImageList
from mlee.errors import DataError

NOTE = "six photographs, repeated: a sanity check of weights and preprocessing, not an ImageNet accuracy"

#: package, file inside it, ImageNet class indices that a person would accept
_PHOTOGRAPHS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("skimage", "data/chelsea.png", (281, 282, 285)),  # a cat: tabby, tiger cat, Egyptian cat
    ("skimage", "data/coffee.png", (967, 968, 504)),  # espresso, cup, coffee mug
    ("skimage", "data/camera.png", (872,)),  # a film camera on its tripod
    ("skimage", "data/rocket.jpg", (657, 744, 812)),  # missile, projectile, space shuttle
    ("skimage", "data/motorcycle_left.png", (665, 670, 535)),  # moped, motor scooter, disk brake
    ("sklearn", "datasets/images/china.jpg", (698, 442)),  # palace, bell cote
)


def sample_images(count: int) -> ImageList:
    """Return `count` images: the photographs in turn, again and again.

    Raises `DataError` when the packages that hold them are not installed.
    """
    found = [(_locate(package, file), labels) for package, file, labels in _PHOTOGRAPHS]
    chosen = [found[index % len(found)] for index in range(count)]
    return ImageList(
        name="sample",
        paths=tuple(path for path, _ in chosen),
        labels=tuple(labels for _, labels in chosen),
        note=NOTE,
    )


def _locate(package: str, file: str) -> Path:
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise DataError(
            f"The sample photograph {Path(file).name} of package {package} is not installed.",
            "run `pip install scikit-image scikit-learn`, or pass --data-path synthetic or an ImageNet folder",
        )
    return path
