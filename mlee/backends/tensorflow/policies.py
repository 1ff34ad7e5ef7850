"""Augmentation policies out of Keras' layers: RandAugment and AugMix.

`keras.layers.RandAugment` computes all its operations for each image, and `keras.layers.AugMix` chooses its chains once for
a whole training inside `tf.data`; both draw from a state that depends on the order of the calls. Here one operation is
chosen and computed at a time, with the strengths that torchvision's policies have by default, from the image's own seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mlee.backends.tensorflow.framework import keras, tf
from mlee.errors import ConfigError

#: Takes pixels (size, size, 3) of 0..255 and a seed (2,) to pixels. A graph function.
Policy = Callable[[Any, Any], Any]

#: RandAugment: magnitude 9 of 30. AugMix: severity 3 of 10. Both are three tenths of the strongest there is.
_STRENGTH = 0.3
_OPERATIONS_OF_RANDAUGMENT = 2
_CHAINS_OF_AUGMIX, _DEPTH_OF_AUGMIX = 3, 3


class _Draws(keras.random.SeedGenerator):  # type: ignore[misc]
    """Seeds for a layer that follow from the seed of an image, and not from a state."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.seed: Any = None
        self._count = 0

    def start(self, seed: Any) -> None:
        self.seed, self._count = seed, 0

    def next(self, ordered: bool = True) -> Any:
        self._count += 1
        return tf.random.fold_in(self.seed, self._count)


class _Operations:
    """The operations a policy chooses from; mirrors, crops and what hides colours are not among them."""

    def __init__(self) -> None:
        self._draws = _Draws()
        layers, half = keras.layers, _STRENGTH / 2
        of_255: dict[str, Any] = {"value_range": (0, 255)}
        fill: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0}
        self._layers = [
            layers.RandomShear(x_factor=(0.0, _STRENGTH**2), y_factor=0.0, **fill),
            layers.RandomShear(x_factor=0.0, y_factor=(0.0, _STRENGTH**2), **fill),
            layers.RandomTranslation(height_factor=0.0, width_factor=half, **fill),
            layers.RandomTranslation(height_factor=half, width_factor=0.0, **fill),
            layers.RandomRotation(factor=_STRENGTH * 30 / 360, **fill),
            layers.RandomBrightness(factor=_STRENGTH, **of_255),
            layers.RandomContrast(factor=_STRENGTH, **of_255),
            layers.RandomColorDegeneration(factor=_STRENGTH, **of_255),
            layers.RandomSharpness(factor=_STRENGTH, **of_255),
            layers.RandomPosterization(factor=7, **of_255),
            layers.Solarization(threshold_factor=(1 - _STRENGTH, 1.0), **of_255),
            layers.AutoContrast(**of_255),
            layers.Equalization(**of_255),
        ]
        for layer in self._layers:
            layer.generator = self._draws

    def several(self, pixels: Any, seed: Any, count: Any) -> Any:
        """Apply `count` of them, one after the other."""

        def apply(done: Any, changed: Any) -> tuple[Any, Any]:
            return done + 1, self._one(changed, tf.random.fold_in(seed, done))

        return tf.while_loop(lambda done, _: done < count, apply, (0, pixels))[1]

    def _one(self, pixels: Any, seed: Any) -> Any:
        """Apply one of them, or nothing."""
        choice, draws = tf.unstack(tf.random.split(seed, 2))

        def apply(layer: Any) -> Any:
            self._draws.start(draws)
            changed = layer(pixels, training=True)
            return tf.ensure_shape(tf.clip_by_value(tf.cast(changed, tf.float32), 0.0, 255.0), pixels.shape)

        branches = [lambda: pixels, *(partial(apply, layer) for layer in self._layers)]
        chosen = tf.random.stateless_uniform((), choice, maxval=len(branches), dtype=tf.int32)
        return tf.switch_case(chosen, branches)


def _rand_augment(pixels: Any, seed: Any, *, operations: _Operations) -> Any:
    """Apply two operations, one after the other (Cubuk et al. 2019)."""
    return operations.several(pixels, seed, _OPERATIONS_OF_RANDAUGMENT)


def _aug_mix(pixels: Any, seed: Any, *, operations: _Operations) -> Any:
    """Mix the image with chains of one to three operations (Hendrycks et al. 2019)."""
    mixing, share, depth, chains = tf.unstack(tf.random.split(seed, 4))
    # With all parameters 1, a Dirichlet distribution is that of exponential numbers by their sum, Beta a uniform one.
    parts = -tf.math.log(1 - tf.random.stateless_uniform((_CHAINS_OF_AUGMIX,), mixing))
    weights = parts / tf.reduce_sum(parts)
    lengths = tf.random.stateless_uniform((_CHAINS_OF_AUGMIX,), depth, minval=1, maxval=_DEPTH_OF_AUGMIX + 1, dtype=tf.int32)

    def add(chain: Any, mixed: Any) -> tuple[Any, Any]:
        changed = operations.several(pixels, tf.random.fold_in(chains, chain), lengths[chain])
        return chain + 1, mixed + weights[chain] * changed

    _, mixed = tf.while_loop(lambda chain, _: chain < _CHAINS_OF_AUGMIX, add, (0, tf.zeros_like(pixels)))
    kept = tf.random.stateless_uniform((), share)
    return kept * pixels + (1 - kept) * mixed


_POLICIES: dict[str, Callable[..., Any]] = {"ra": _rand_augment, "augmix": _aug_mix}


def find_policy(name: str | None) -> Policy | None:
    """Find a policy by its name on the command line; raises `ConfigError` for those that Keras has no layers for."""
    if name is None:
        return None
    if name not in _POLICIES:
        raise ConfigError(
            f"--auto-augment {name} is for PyTorch; Keras has no such policy.",
            f"pass --auto-augment {' or '.join(_POLICIES)}, or --backend pytorch",
        )
    return partial(_POLICIES[name], operations=_Operations())
