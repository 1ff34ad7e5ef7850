"""From an encoded image to the array a Keras model wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mlee.backends.tensorflow.framework import tf


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Size and centre crop as weights expect them, and `values`, which maps pixels 0..255 (h, w, 3) to the model's range.

    As in torchvision the shorter side is resized to `resize_size` [px] and a square of `crop_size` cut from the centre; done
    here in the order that costs less: crop, then resize. `resize_size` `None` squeezes the whole image into the square.
    """

    crop_size: int
    resize_size: int | None
    interpolation: str
    values: Callable[[Any], Any]

    def with_size(self, size: int | None) -> Preprocessing:
        """Return the same for another input size [px]: the crop keeps its share of the image."""
        if size is None or size == self.crop_size:
            return self
        # Whole numbers: a size no machine can hold is refused later, and not by an overflow.
        resize = None if self.resize_size is None else (2 * size * self.resize_size + self.crop_size) // (2 * self.crop_size)
        return replace(self, crop_size=size, resize_size=resize)

    def decode(self, encoded: Any) -> Any:
        """Decode a JPEG, PNG, BMP or GIF and prepare it: (size, size, 3), float32. A graph function."""
        return self.prepare(tf.io.decode_image(encoded, channels=3, expand_animations=False))

    def prepare(self, pixels: Any) -> Any:
        """Crop, resize and scale pixels (h, w, 3) of 0..255."""
        if self.resize_size is not None:
            height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
            shorter = tf.cast(tf.minimum(height, width), tf.float32)
            side = tf.maximum(1, tf.cast(tf.round(shorter * (self.crop_size / self.resize_size)), tf.int32))
            pixels = tf.image.crop_to_bounding_box(pixels, (height - side) // 2, (width - side) // 2, side, side)
        size = (self.crop_size, self.crop_size)
        pixels = tf.image.resize(pixels, size, method=self.interpolation, antialias=True)
        # The nearest pixels keep their type.
        pixels = tf.clip_by_value(tf.cast(pixels, tf.float32), 0.0, 255.0)  # bicubic weights overshoot at edges
        return tf.ensure_shape(self.values(pixels), (*size, 3))
