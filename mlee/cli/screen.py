"""What a person sees while a run goes on."""

from __future__ import annotations

from collections.abc import Callable

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from mlee.cli.common import stderr
from mlee.measuring import Listener
from mlee.training_records import Epoch
from mlee.units import percent, significant, with_unit


class Screen(Listener):
    """Shows how a run goes on: a spinner for what takes a while, a bar with throughput and power for a pass."""

    def __init__(self, model: str, *, quiet: bool) -> None:
        """Prepare the display; nothing is shown when quiet or when nobody looks (no terminal)."""
        self._model = model
        self.quiet = quiet
        self._power: Callable[[], float | None] = lambda: None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[live]}"),
            TimeRemainingColumn(),
            console=stderr,
            refresh_per_second=4,
            disable=quiet or not stderr.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Screen:
        """Show the display."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the display away."""
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Show a new line with a spinner."""
        self._replace(escape(text), None)

    def begin(self, samples: int, power_w: Callable[[], float | None], title: str) -> None:
        """Show a bar for a pass."""
        self._power = power_w
        self._replace(f"{escape(self._model)}, {title}", samples)

    def progress(self, samples: int) -> None:
        """Move the bar."""
        if self._task is None or self._progress.disable:
            return
        speed = self._progress.tasks[0].speed
        live = f"{significant(speed)} samples/s" if speed else ""
        power_w = self._power()
        if power_w is not None:
            live += f"  {with_unit(power_w, 'W')}"
        self._progress.update(self._task, completed=samples, live=live)

    def epoch(self, epoch: Epoch, epochs: int, *, estimated: bool) -> None:
        """Leave a line behind for an epoch that is done; under a terminal it stays above the bar."""
        if self.quiet:
            return
        energy = ""
        if epoch.energy_j is not None and epoch.validation_energy_j is not None:
            energy = "  " + "~" * estimated + with_unit(epoch.energy_j + epoch.validation_energy_j, "J")
        stderr.print(
            f"epoch {epoch.number}/{epochs}  loss {significant(epoch.loss)}  top-1 {percent(epoch.top1_accuracy)}  "
            f"validation {significant(epoch.validation_loss)}, {percent(epoch.validation_top1_accuracy)}  "
            f"{with_unit(epoch.duration_s + epoch.validation_duration_s, 's')}{energy}",
            highlight=False,
            soft_wrap=True,
        )

    def _replace(self, text: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=total, live="")
