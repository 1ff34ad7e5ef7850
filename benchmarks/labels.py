"""Measure how many labels a second one process writes, and how large they are.

Run by hand; it takes about half a minute::

    python benchmarks/labels.py
    python benchmarks/labels.py --labels 100 --rounds 10

Every label is of another model with another address, so neither its QR code nor its font subsets were seen before. A round
writes each variant in each format in turn; a rate is the median of the rounds, with the lowest and the highest beside it, a
size is the mean and the largest. The first label of a process, which loads the fonts and libraries, is timed on its own.
Other load on the machine lowers the rates: the best round comes closest to what the machine can do.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from importlib.metadata import version
from itertools import count

from mlee.label import Format, LabelContent, Letter, Tile, Variant, render
from mlee.sensors.machine import cpu_name

FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")
VARIANTS: tuple[Variant, ...] = ("full", "compact", "badge")
LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D", "E")


def content(number: int) -> LabelContent:
    """Fill every field of a label, some of them with `number`."""
    rating, other = LETTERS[number % 5], LETTERS[(number + 2) % 5]
    estimated = number % 4 == 0
    value = f"{0.1 + number % 97 / 31:.2f}"
    reference = "x ResNet101"
    tiles = (
        Tile(
            pictogram="energy",
            name="Energy per image",
            values=(f"{value} J",),
            letter=rating,
            index=f"1.35 {reference}",
            bounds=f"{rating}: 1.14 to 1.81",
            estimated=estimated,
        ),
        Tile(
            pictogram="time",
            name="Time per image",
            values=(f"{1 + number % 89 / 29:.2f} ms",),
            letter=other,
            index=f"0.98 {reference}",
            bounds=f"{other}: 0.87 to 1.14",
        ),
        Tile(
            pictogram="accuracy",
            name="Top-1 / top-5 accuracy",
            values=("73.4 %", "91.1 %"),
            letter="D",
            index=f"0.92 {reference}",
            bounds="D: 0.90 to 0.95",
        ),
        Tile(
            pictogram="size",
            name="Parameters / operations",
            values=("5.48 M", "0.23 GMAC"),
            letter="A",
            index=f"8.13 {reference}",
            bounds="A: above 4.50",
        ),
    )
    digest = f"{number * 0x9E3779B97F4A7C15 % (1 << 128):032x}"
    return LabelContent(
        task="inference",
        model=f"EfficientNetB{number}",
        dataset="ImageNet-1k val, 50 000 images",
        hardware="8 x A100-SXM4-40GB",
        software="PyTorch 2.9.0+cu130",
        rating=rating,
        rating_range=(min(rating, other), max(rating, other)),
        energy_value=value,
        energy_uncertainty="± 0.03 J",
        energy_per="per image",
        provenance="estimated" if estimated else "measured",
        sensors="NVML, 8 GPUs",
        not_included="CPU not measured",
        tiles=tiles,
        foot=(
            "5 runs, idle power 412 W not subtracted",
            "Measured 2026-11-20, label issued 2026-11-23",
            "Rules exact, optimistic median, reference ResNet101",
            "Thresholds imagenet-2026.1, mlee 0.1.0",
        ),
        url=f"https://mlee.example.org/r/{digest}",
        short_url=f"mlee.example.org/r/{digest[:8]}",
        digest=f"sha256:{digest}",
        title=f"Energy label: EfficientNetB{number}, inference",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--labels", type=int, default=40, metavar="N", help="labels a round, format and variant (default 40)"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (default 5)")
    options = parser.parse_args()

    libraries = ", ".join(f"{name} {version(name)}" for name in ("reportlab", "segno", "pypdfium2"))
    print(f"{cpu_name()}, Python {platform.python_version()}, {libraries}; one process\n")
    numbers = count(1)
    start_s = time.perf_counter()
    render(content(next(numbers)), "pdf")
    print(f"first PDF of the process: {(time.perf_counter() - start_s) * 1000:.0f} ms\n")

    cells = [(variant, format) for variant in VARIANTS for format in FORMATS]
    rates: dict[tuple[Variant, Format], list[float]] = {cell: [] for cell in cells}
    sizes: dict[tuple[Variant, Format], list[int]] = {cell: [] for cell in cells}
    for variant, format in cells:
        render(content(next(numbers)), format, variant)
    for _ in range(options.rounds):
        for variant, format in cells:
            contents = [content(next(numbers)) for _ in range(options.labels)]
            start_s = time.perf_counter()
            files = [render(each, format, variant) for each in contents]
            rates[variant, format].append(options.labels / (time.perf_counter() - start_s))
            sizes[variant, format] += map(len, files)

    print(f"{'variant':9}{'format':8}{'labels/s':>9}{'(lowest to highest)':>22}{'kB, mean':>11}{'largest':>9}")
    for cell in cells:
        rate, size = rates[cell], sizes[cell]
        spread = f"({min(rate):.0f} to {max(rate):.0f})"
        kilobytes = f"{statistics.mean(size) / 1000:>11.1f}{max(size) / 1000:>9.1f}"
        print(f"{cell[0]:9}{cell[1]:8}{statistics.median(rate):>9.0f}{spread:>22}{kilobytes}")


if __name__ == "__main__":
    main()
