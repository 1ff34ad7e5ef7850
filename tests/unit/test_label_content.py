"""What a label says: invariants, and how missing values read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlee.label import LabelContent, Tile
from mlee.label.content import LETTERS, MAX_FOOT_LINES, MAX_URL, PICTOGRAMS
from mlee.label.layout import PALETTE
from mlee.units import NOT_MEASURED

URL = "https://mlee.example.org/r/3f9a1c7be2d04a58b1c6d7e8f9a0b1c2"


def sample(**changes: Any) -> LabelContent:
    """A label with every field filled, and some of them changed."""
    tiles = (
        Tile(
            pictogram="energy",
            name="Energy per image",
            values=("0.78 J",),
            letter="B",
            index="1.35 x ResNet101",
            bounds="B: 1",
        ),
        Tile(
            pictogram="time", name="Time per image", values=("1.65 ms",), letter="C", could_be="D", index="0.98 x ResNet101"
        ),
        Tile(
            pictogram="accuracy",
            name="Top-1 / top-5 accuracy",
            values=("73.4 %", "91.1 %"),
            letter="D",
            bounds="D: 0.90 to 0.95",
        ),
        Tile(
            pictogram="size",
            name="Parameters / operations",
            values=("5.48 M", "0.23 GMAC"),
            letter="A",
            bounds="A: above 4.5",
        ),
    )
    fields: dict[str, Any] = {
        "task": "inference",
        "model": "MobileNetV3Large",
        "dataset": "ImageNet-1k val, 50 000 images",
        "hardware": "8 x A100-SXM4-40GB",
        "software": "PyTorch 2.9.0+cu130",
        "rating": "B",
        "rating_range": ("B", "C"),
        "energy_value": "0.78",
        "energy_uncertainty": "± 0.03 J",
        "energy_per": "per image",
        "provenance": "measured",
        "sensors": "NVML, 8 GPUs",
        "not_included": "CPU not measured",
        "tiles": tiles,
        "foot": ("5 runs, idle power 412 W not subtracted", "Rules exact, optimistic median, reference ResNet101"),
        "url": URL,
        "short_url": "mlee.example.org/r/3f9a1c7b",
        "digest": "sha256:3f9a1c7be2d04a58b1c6",
        "title": "Energy label: MobileNetV3Large, inference",
    }
    return LabelContent(**(fields | changes))


def estimated(**changes: Any) -> LabelContent:
    """A label of a training whose energy is estimated."""
    tiles = sample().tiles
    return sample(
        **{
            "task": "training",
            "provenance": "estimated",
            "energy_total": "114 ± 36 kWh for 90 epochs, extrapolated",
            "tiles": (replace(tiles[0], estimated=True, could_be="C"), *tiles[1:]),
        }
        | changes
    )


def missing(**changes: Any) -> LabelContent:
    """A label on which nothing was measured."""
    nothing = {"rating": None, "rating_range": None, "energy_value": None, "energy_uncertainty": None, "provenance": None}
    tiles = tuple(Tile(pictogram=kind, name=kind, values=(None,)) for kind in PICTOGRAMS)
    return sample(**nothing | {"sensors": None, "not_included": None, "tiles": tiles, "foot": ()} | changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": "guessing"}, "task"),
        ({"model": " \n"}, "model"),
        ({"dataset": ""}, "dataset"),
        ({"hardware": None}, "hardware"),
        ({"energy_per": ""}, "energy_per"),
        ({"energy_total": ""}, "energy_total"),
        ({"rating": "F"}, "rating"),
        ({"rating_range": ("C", "B")}, "rating_range"),
        ({"rating_range": ("C", "D")}, "rating_range"),
        ({"rating_range": ("A", "F")}, "rating_range"),
        ({"rating_range": ("A", "B", "C")}, "rating_range"),
        ({"rating": None}, "rating_range"),
        ({"provenance": None}, "provenance"),
        ({"provenance": "guessed"}, "provenance"),
        ({"energy_value": None}, "provenance"),
        ({"energy_value": None, "provenance": None}, "energy_value"),
        ({"provenance": "estimated"}, "tiles"),
        ({"tiles": sample().tiles[::-1]}, "tiles"),
        ({"tiles": sample().tiles[:3]}, "tiles"),
        ({"foot": ("line",) * (MAX_FOOT_LINES + 1)}, "foot"),
        ({"foot": ("",)}, "foot"),
        ({"url": "mlee.example.org"}, "url"),
        ({"url": "https://example.org/é"}, "url"),
        ({"url": "https://example.org/a b"}, "url"),
        ({"url": "https://example.org/" + "a" * MAX_URL}, "url"),
        ({"language": "english, please"}, "language"),
        ({"title": "\t"}, "title"),
    ],
)
def test_what_contradicts_itself_is_refused_by_the_name_of_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        sample(**changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pictogram": "water"}, "pictogram"),
        ({"name": ""}, "name"),
        ({"values": ()}, "values"),
        ({"values": ("1", "2", "3")}, "values"),
        ({"values": ("",)}, "values"),
        ({"letter": "F"}, "letter"),
        ({"could_be": "B"}, "could_be"),
        ({"letter": None, "could_be": "B"}, "could_be"),
        ({"bounds": ""}, "bounds"),
        ({"index": ""}, "index"),
    ],
)
def test_a_tile_refuses_what_it_cannot_show(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        replace(sample().tiles[0], **changes)


def test_missing_values_read_not_measured() -> None:
    tile = sample().tiles[2]
    assert tile.value_text == "73.4 % / 91.1 %"
    assert replace(tile, values=("73.4 %", None)).value_text == f"73.4 % / {NOT_MEASURED}"
    assert replace(tile, values=(None, None)).value_text == NOT_MEASURED
    assert replace(tile, letter=None, bounds=None).class_text == "not rated"


def test_the_description_says_what_the_label_shows() -> None:
    said = estimated(rating="C", rating_range=("B", "C")).description
    for part in (
        "MobileNetV3Large",
        "rated C",
        "B to C",
        "0.78 J ± 0.03 J per image estimated",
        "CPU not measured",
        "90 epochs",
    ):
        assert part in said
    assert "0.78 J, class B (estimated), could be C" in said
    assert "not rated. Energy: not measured." in missing().description


def test_letters_stand_out_from_their_fields() -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert tuple(PALETTE) == LETTERS
    for fill, letter in PALETTE.values():
        dark, light = sorted((luminance(fill), luminance(letter)))
        assert round((light + 0.05) / (dark + 0.05), 1) >= 6.5
