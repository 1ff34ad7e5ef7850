"""Names of models, forgiving and helpful."""

from __future__ import annotations

import pytest

from mlee.catalogue import TORCHVISION_NAMES, display_name, match_name
from mlee.errors import ConfigError

KNOWN = (*TORCHVISION_NAMES, *TORCHVISION_NAMES.values(), "EfficientNetLite0")


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_every_2022_name_resolves_and_is_shown_again(name: str) -> None:
    found = match_name(name, KNOWN)
    identifier = TORCHVISION_NAMES.get(found, found)
    assert identifier == TORCHVISION_NAMES[name]
    assert display_name(identifier) == name


def test_2022_names_stand_for_different_models() -> None:
    assert len(set(TORCHVISION_NAMES.values())) == len(TORCHVISION_NAMES) == 25


@pytest.mark.parametrize("spelling", ["resnext50", "RESNEXT50", "ResNeXt-50", " resnext_50 "])
def test_case_and_punctuation_are_forgiven(spelling: str) -> None:
    assert match_name(spelling, KNOWN) == "ResNext50"


@pytest.mark.parametrize(
    ("wrong", "offered"),
    [("ResNet5", "ResNet50"), ("EfficentNetB0", "EfficientNetB0"), ("mobilnet_v2", "MobileNetV2"), ("Lite0", "Lite0")],
)
def test_a_misspelling_offers_the_closest_names(wrong: str, offered: str) -> None:
    with pytest.raises(ConfigError, match=f"Unknown model '{wrong}'") as refused:
        match_name(wrong, TORCHVISION_NAMES if offered != "Lite0" else ["Lite01"])
    assert refused.value.hint is not None
    assert offered in refused.value.hint


@pytest.mark.parametrize("nonsense", ["", "!!!", "qqqqqqqq"])
def test_a_name_like_no_other_points_to_the_list(nonsense: str) -> None:
    with pytest.raises(ConfigError) as refused:
        match_name(nonsense, KNOWN)
    assert "--list-models" in (refused.value.hint or "")


def test_an_unknown_identifier_is_shown_as_it_is() -> None:
    assert display_name("vit_b_16") == "vit_b_16"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("regnet_x_3_2gf", "regnet_x_3_2gf"),
        ("regnet_x_32gf", "regnet_x_32gf"),
        ("RegNetX32GF", "RegNetX32GF"),
        ("Regnet_X_3_2GF", "regnet_x_3_2gf"),
    ],
)
def test_names_that_differ_only_in_punctuation_are_never_mistaken_for_each_other(wanted: str, found: str) -> None:
    known = ("RegNetX32GF", "regnet_x_32gf", "regnet_x_3_2gf")
    assert match_name(wanted, known) == found
    assert match_name(wanted, reversed(known)) == found


def test_a_spelling_that_fits_two_models_is_refused_with_both() -> None:
    with pytest.raises(ConfigError) as refused:
        match_name("regnetx16gf", ["regnet_x_16gf", "regnet_x_1_6gf"])
    assert "regnet_x_16gf" in (refused.value.hint or "")
    assert "regnet_x_1_6gf" in (refused.value.hint or "")
