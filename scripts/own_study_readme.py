"""Write results/README.md: how, where and when the study in results/ was made, and how far to trust it.

Run by hand after `scripts/own_study.sh`; a test holds what it writes against the result files::

    python scripts/own_study_readme.py
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from mlee.platform_info import machine
from mlee.records import InferenceConfig, RunResult
from mlee.results.store import load

FOLDER = Path(__file__).parents[1] / "results"
#: What tells the runs of the study from others in the folder: the seed in scripts/own_study.sh.
_SEED = 2026
_BACKENDS = {
    "pytorch": "PyTorch",
    "tensorflow": "TensorFlow",
    "onnx_pytorch": "PyTorch, exported to ONNX",
    "onnx_tensorflow": "TensorFlow, exported to ONNX",
}
_TEXT = """\
# Our own study

{runs} runs of {networks} networks with four backends on one virtual machine, made on {day} with `scripts/own_study.sh`,
merged by `merge_results.py` and described by `scripts/own_study_readme.py`. `python elex.py`, `python -m mlee.rate results`,
`python -m mlee.site` and `python -m mlee.report` show them beside whatever you merge into this folder.

| | |
|---|---|
| machine | virtual, {cpus} CPUs of an {cpu}, {memory:.0f} GiB, no GPU, no RAPL; nothing else ran |
| software | {software} |
| backends | {backends} |
| images | random, in batches of {batch}, fp32; more of them for small networks, so that a pass lasts |
| passes | three timed ones each, after one batch to warm up; one thread (`OMP_NUM_THREADS=1`); drawn order |
| weights | random: none could be downloaded. Time and energy do not depend on them here |

| images a pass | networks |
|---|---|
{images}

## How far to trust it

* **Energy is estimated, not measured** (`~`): the CPU's load times published coefficients for its kind (Cloud Carbon
  Footprint), DRAM by its size. The band is wide, ±{band:.0%} here, and the same for all runs: it moves all energies
  together, so comparisons within this machine are better than their absolute values. What a virtual machine shares with
  its neighbours is not seen.
* **Accuracy is published, not measured** (`(p)`): it is what the publishers of the weights state for ImageNet.
* **Time is measured.** The three passes of a run differ by {spread:.0%} (slowest against fastest, median over the runs;
  {worst:.0%} in the worst run): a virtual machine. Classes such as "B [A-C]" say what that spread allows.
* The shortest timed pass took {shortest:.2f} s. {busy} the warning that other processes were busy (`other-load`).
* Exports to ONNX gave the outputs of their originals within {difference:.1e} of the largest output (four random
  images).{zeros}

One thread on one machine says little about GPUs or about large batches; it is a study of this machine, and an example of
what the tools make of one.

## What is not in it

{missing}
"""


def text(results: Sequence[RunResult], missing: str) -> str:
    """Describe the results of the study; `missing` says in words what it lacks."""
    machines = {machine(result.platform) for result in results}
    if len(machines) != 1:
        raise SystemExit(f"The study should be that of one machine, not of {sorted(machines) or 'none'}.")
    configs = [result.config for result in results if isinstance(result.config, InferenceConfig)]
    platform, packages = results[0].platform, results[0].platform.packages
    backends = Counter(config.backend for config in configs)
    passes = [[measurement.duration_s for measurement in result.measurements] for result in results]
    spreads = [max(seconds) / min(seconds) - 1 for seconds in passes]
    busy = sum(any(warning.code == "other-load" for warning in result.warnings) for result in results)
    versions = {
        "Python": packages["python"],
        "PyTorch": packages["torch"],
        "TensorFlow": packages["tensorflow_cpu"],
        "Keras": packages["keras"],
        "ONNX Runtime": packages["onnxruntime"],
    }
    return _TEXT.format(
        runs=len(results),
        networks=len({result.model.name for result in results}),
        day=" and ".join(sorted({f"{result.started_at:%Y-%m-%d}" for result in results})),
        cpus=platform.logical_cpus,
        cpu=platform.cpu_name,
        memory=platform.memory_bytes / 2**30,
        software=", ".join(f"{name} {version}" for name, version in versions.items()),
        backends=", ".join(f"{words} ({backends[name]} networks)" for name, words in _BACKENDS.items()),
        batch=" and ".join(map(str, sorted({config.batch_size for config in configs}))),
        images="\n".join(_by_images(results)),
        band=median(_bands(results)),
        spread=median(spreads),
        worst=max(spreads),
        shortest=min(map(min, passes)),
        busy="No run carries" if busy == 0 else f"{busy} of the runs carry",
        difference=max(_differences(results)),
        zeros=_zeros(results),
        missing=missing,
    )


def _by_images(results: Sequence[RunResult]) -> Iterable[str]:
    networks: dict[int, set[str]] = defaultdict(set)
    for result in results:
        networks[result.outcome.samples].add(result.model.name)
    for count in sorted(networks, reverse=True):
        yield f"| {count} | {', '.join(sorted(networks[count], key=str.lower))} |"


def _bands(results: Sequence[RunResult]) -> Iterable[float]:
    for result in results:
        for measurement in result.measurements:
            energy_j = sum(device.energy_j or 0.0 for device in measurement.devices)
            yield sum(device.energy_uncertainty_j or 0.0 for device in measurement.devices) / energy_j


def _differences(results: Sequence[RunResult]) -> Iterable[float]:
    for result in results:
        difference, largest = (result.details.get(f"export_{name}") for name in ("difference", "largest_output"))
        if isinstance(difference, float) and isinstance(largest, float) and largest > 0:
            yield difference / largest


def _zeros(results: Sequence[RunResult]) -> str:
    """Name the exports whose comparison says nothing: some networks begin with a last layer of zeros."""
    names = sorted({result.model.name for result in results if result.details.get("export_largest_output") == 0})
    if not names:
        return ""
    return f" {', '.join(names)} could not be compared: with random weights all their outputs are 0."


def study(folder: Path = FOLDER) -> list[RunResult]:
    """Read the results of the study, in the order in which they were made."""
    found = [result for result in map(load, folder.glob("infer_*.json")) if result.config.seed == _SEED]
    return sorted(found, key=lambda result: result.started_at)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    page = FOLDER / "README.md"
    _, heading, missing = page.read_text(encoding="utf-8").partition("## What is not in it\n\n")
    results = study()
    page.write_text(text(results, missing.strip() if heading else "Nothing is known to be missing."), encoding="utf-8")
    print(f"{page}: {len(results)} runs")


if __name__ == "__main__":
    main()
