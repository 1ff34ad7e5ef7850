"""What happens to an image on its way into training, drawn anew each time; the same seed draws the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlee.backends.tensorflow.framework import tf
from mlee.backends.tensorflow.policies import Policy
from mlee.backends.tensorflow.preprocessing import Preprocessing

# Of Inception's crop (Szegedy et al. 2014) and of random erasing (Zhong et al. 2017), as torchvision has them.
_CROP_SCALE, _CROP_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_TRIES = 10
_ERASE_SCALE, _ERASE_RATIO = (0.02, 0.33), (0.3, 3.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Random crop and mirroring unless the image matters as a `whole`, then `policy`, values, and erasing of a rectangle."""

    preset: Preprocessing
    whole: bool
    policy: Policy | None = None
    erase: float = 0.0

    def decode(self, encoded: Any, seed: Any) -> Any:
        """Decode and augment an image: (size, size, 3), float32. A graph function of a seed (2,)."""
        if self.whole:
            return self.augment(tf.io.decode_image(encoded, channels=3, expand_animations=False), seed)
        crop, rest = _split(seed)

        def part_of_jpeg() -> Any:
            start, size = _rectangle(tf.io.extract_jpeg_shape(encoded), crop, _CROP_SCALE, _CROP_RATIO)
            return tf.io.decode_and_crop_jpeg(encoded, tf.concat([start, size], 0), channels=3)

        def part() -> Any:
            return _crop(tf.io.decode_image(encoded, channels=3, expand_animations=False), crop)

        # A crop of a JPEG costs less than the whole.
        return self._finish(self._resize(tf.cond(tf.io.is_jpeg(encoded), part_of_jpeg, part)), rest)

    def augment(self, pixels: Any, seed: Any) -> Any:
        """Augment pixels (h, w, 3) of 0..255: (size, size, 3), float32. A graph function of a seed (2,)."""
        crop, rest = _split(seed)
        return self._finish(self._resize(pixels if self.whole else _crop(pixels, crop)), rest)

    def _resize(self, pixels: Any) -> Any:
        size = (self.preset.crop_size, self.preset.crop_size)
        pixels = tf.image.resize(pixels, size, method=self.preset.interpolation, antialias=True)
        return tf.ensure_shape(tf.clip_by_value(tf.cast(pixels, tf.float32), 0.0, 255.0), (*size, 3))

    def _finish(self, pixels: Any, seed: Any) -> Any:
        mirror, policy, erase = tf.unstack(tf.random.split(seed, 3))
        if not self.whole:
            pixels = tf.image.stateless_random_flip_left_right(pixels, mirror)
        if self.policy is not None:
            pixels = self.policy(pixels, policy)
        pixels = self.preset.values(pixels)
        return _erase(pixels, erase, self.erase) if self.erase else pixels


def _split(seed: Any) -> tuple[Any, Any]:
    first, second = tf.unstack(tf.random.split(seed, 2))
    return first, second


def _rectangle(shape: Any, seed: Any, scale: tuple[float, float], ratio: tuple[float, float]) -> tuple[Any, Any]:
    """Draw a rectangle in an image of some shape (3,): its row and column (2,), its height and width (2,).

    As in torchvision the share of the area is drawn evenly, the ratio of width to height evenly in its logarithm; the first
    of ten draws that fits is taken, or else the largest that the ratios allow. TensorFlow's function for this draws the
    height evenly, and so prefers small parts.
    """
    sides = tf.cast(shape[:2], tf.float32)
    share, proportion, *place = tf.unstack(tf.random.stateless_uniform((4, _TRIES), seed))
    area = tf.reduce_prod(sides) * (scale[0] + share * (scale[1] - scale[0]))
    proportion = ratio[0] * (ratio[1] / ratio[0]) ** proportion
    largest = tf.clip_by_value(sides[1] / sides[0], *ratio)
    last = tf.minimum(sides, tf.stack([sides[1] / largest, sides[0] * largest]))
    drawn = tf.stack([tf.sqrt(area / proportion), tf.sqrt(area * proportion)], axis=1)
    sizes = tf.round(tf.concat([drawn, last[None]], axis=0))
    fits = tf.reduce_all((sizes >= 1) & (sizes <= sides), axis=1)
    size = tf.maximum(sizes[tf.argmax(tf.cast(fits, tf.int32))], 1)
    start = tf.floor(tf.stack([place[0][0], place[1][0]]) * (sides - size + 1))
    return tf.cast(start, tf.int32), tf.cast(size, tf.int32)


def _crop(pixels: Any, seed: Any) -> Any:
    start, size = _rectangle(tf.shape(pixels), seed, _CROP_SCALE, _CROP_RATIO)
    return tf.image.crop_to_bounding_box(pixels, start[0], start[1], size[0], size[1])


def _erase(pixels: Any, seed: Any, probability: float) -> Any:
    """Set a rectangle of an image to 0, which after normalisation is the mean of all images."""
    chance, place = _split(seed)
    start, size = _rectangle(tf.shape(pixels), place, _ERASE_SCALE, _ERASE_RATIO)
    rows, columns = (
        (index >= start[axis]) & (index < start[axis] + size[axis])
        for axis, index in enumerate(map(tf.range, pixels.shape[:2]))
    )
    erased = rows[:, None] & columns[None, :] & (tf.random.stateless_uniform((), chance) < probability)
    return tf.where(erased[..., None], 0.0, pixels)
