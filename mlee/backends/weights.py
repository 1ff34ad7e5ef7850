"""What `--weights` asks for, whatever the framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlee.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsChoice:
    """Random weights, a file, or published weights (`name` says which of several, `None` means the default)."""

    random: bool = False
    file: Path | None = None
    name: str | None = None


def choose_weights(text: str) -> WeightsChoice:
    """Resolve `--weights`: pretrained, random, an existing file, or a name; raises `ConfigError`."""
    if text == "random":
        return WeightsChoice(random=True)
    if text == "pretrained":
        return WeightsChoice()
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--weights {text}: {error}", "write the path in full") from error
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ConfigError(
            f"--weights {text} cannot be read: {error.strerror}.", "use pretrained, random, or a readable file"
        ) from error
    if is_file:
        return WeightsChoice(file=path)
    if path.suffix:
        raise ConfigError(f"--weights {path} does not exist.", "use pretrained, random, or an existing file")
    return WeightsChoice(name=text)
