"""Studies: what is planned, what becomes of runs, and that nothing complete is repeated."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlee.cli import common, train
from mlee.cli import sweep as command
from mlee.errors import ConfigError, ResultError
from mlee.experiment import PLATFORM_FILE, load_result
from mlee.results.load import load
from mlee.sweep.estimate import estimate
from mlee.sweep.plan import Plan, Run, SweepOptions, command_options, make_plan
from mlee.sweep.recipes import RECIPES
from mlee.sweep.running import known_models, run_one
from mlee.sweep.slurm import SlurmOptions, run_on_slurm
from mlee.sweep.study import Ended, Study
from mlee.training_progress import read_progress
from mlee.training_records import TrainingOutcome

ROOT = Path(__file__).parents[2]
WAIT_S = 120
KNOWN = {"pytorch": ("ResNet50", "VGG16", "MobileNetV2"), "onnx_pytorch": ("ResNet50", "VGG16"), "tensorflow": ("ResNet50",)}
QUICK = ["--", "--idle-seconds", "0", "--warmup-batches", "0", "--sensors", "simulated"]


def plan(**fields: object) -> Plan:
    return make_plan(SweepOptions(**{"models": ("ResNet50", "VGG16"), "repeats": 2, **fields}), KNOWN)  # type: ignore[arg-type]


def test_every_combination_runs_once_a_repeat() -> None:
    found = plan(backends=("pytorch", "onnx_pytorch"), batch_sizes=(1, 16), precisions=("fp32", "bf16"))
    kinds = Counter(run.kind for run in found.runs)
    assert set(kinds.values()) == {2}
    assert len(kinds) == 2 * 2 * 2 + 2 * 2  # ONNX Runtime knows fp32 alone
    assert [run.number for run in found.runs] == list(range(1, 25))
    assert [entry.what for entry in found.left_out] == ["onnx_pytorch bf16"]


def test_the_seed_decides_the_order() -> None:
    assert plan(seed=1) == plan(seed=1)
    orders = {tuple(run.kind for run in plan(seed=seed, batch_sizes=(1, 2, 4)).runs) for seed in range(8)}
    assert len(orders) > 4


def test_all_models_are_those_of_each_backend() -> None:
    found = plan(models=("all",), backends=("pytorch", "tensorflow"), repeats=1)
    assert Counter(run.backend for run in found.runs) == {"pytorch": 3, "tensorflow": 1}


def test_names_are_forgiven_and_what_a_backend_lacks_is_left_out_with_the_reason() -> None:
    found = plan(models=("resnet-50", "VGG 16"), backends=("pytorch", "tensorflow"), repeats=1)
    assert {(run.backend, run.model) for run in found.runs} == {
        *(("pytorch", "ResNet50"), ("pytorch", "VGG16"), ("tensorflow", "ResNet50"))
    }
    (left,) = found.left_out
    assert (left.what, left.reason) == ("tensorflow VGG 16", "a model of pytorch and onnx_pytorch")
    (left,) = plan(models=("ResNet50", "ResNet51")).left_out
    assert "Unknown model 'ResNet51'. (did you mean ResNet50" in left.reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": ("nothing",)}, "Nothing is left to run"),
        ({"more": ("--seed", "3")}, "--seed cannot be handed through"),
        ({"more": ("--batch-size=3",)}, "--batch-size=3 cannot be handed through"),
        ({"more": ("--output", "/x")}, "--output cannot be handed through"),
        ({"more": ("--batch-s=64",)}, "--batch-s=64 cannot be handed through"),
    ],
)
def test_plans_that_cannot_be(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(**fields)


def test_options_of_a_run() -> None:
    found = plan(task="training", data_path="digits", more=("--epochs", "3"), repeats=1, models=("VGG16",))
    words = command_options(found.runs[0], found.options, "out")
    assert words[:4] == ["--model", "VGG16", "--backend", "pytorch"]
    assert words[-4:] == ["--data-path", "digits", "--epochs", "3"]
    inference = command_options(replace(found.runs[0], task="inference"), found.options, "out")
    assert inference[:2] == ["--infer-model", "VGG16"]


def test_recipes_are_those_of_2022() -> None:
    found = plan(task="training", models=("all",), recipes=True, repeats=1)
    words = {run.model: " ".join(command_options(run, found.options, "out")) for run in found.runs}
    assert "--opt sgd --lr 0.01 --weight-decay 1e-4 --lr-step-size 30 --lr-gamma 0.1" in words["VGG16"]
    assert "--lr 0.045" in words["MobileNetV2"]
    with pytest.raises(ValueError, match="recipes must be for training alone"):
        plan(recipes=True)
    for options in RECIPES.values():
        train.parser().parse_args(list(options))


def test_scripts_plan_their_studies(tmp_path: Path) -> None:
    for name, said in (("eval_all", "EfficientNetLite0 pytorch batch 32 #3"), ("train_all", "VGG16 pytorch batch 32 #1")):
        script = (ROOT / "scripts" / f"{name}.sh").read_text()
        line = script[script.rindex("-m mlee.sweep") :].replace("\\\n", " ").replace('"$data"', str(tmp_path))
        words = line.replace('"$@"', "").replace("pytorch tensorflow onnx_pytorch onnx_tensorflow", "pytorch")
        words = words.replace("pytorch tensorflow", "pytorch")
        done = subprocess.run(
            [sys.executable, *words.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_estimates_come_from_runs_of_the_same_kind() -> None:
    runs = plan(seed=0).runs  # two models, each twice
    first = runs[0]
    twin = next(run for run in runs[1:] if run.kind == first.kind)
    assert estimate(runs, {}, 5.0).seconds is None
    ended = {first.number: Ended(seconds=10.0, folder="a")}
    assert estimate(runs, ended, 5.0).seconds == 3 * 10 + 2 * 5
    assert estimate(runs, ended, 0.0).known == 1
    ended[twin.number] = Ended(seconds=2.0, reason="failed")
    assert (estimate(runs, ended, 0.0).runs, estimate(runs, ended, 0.0).seconds) == (3, 30.0)
    done = {run.number: Ended(seconds=1.0, folder="x") for run in runs}
    assert estimate(runs, done, 5.0).seconds == 0


def test_runs_at_the_same_time_take_their_share_of_the_time_and_never_less_than_the_longest() -> None:
    runs = plan(repeats=50, seed=0).runs  # two models
    first, other = runs[0], next(run for run in runs if run.kind != runs[0].kind)
    ended = {first.number: Ended(seconds=3600.0, folder="a"), other.number: Ended(seconds=3600.0, folder="b")}
    assert estimate(runs, ended, 0.0).seconds == 98 * 3600
    found = estimate(runs, ended, 0.0, parallel=10)
    assert (found.seconds, found.parallel) == (9.8 * 3600, 10)
    ended[other.number] = Ended(seconds=36_000.0, folder="b")
    left = [next(run for run in runs if run.number not in ended and run.kind == kind) for kind in (first.kind, other.kind)]
    found = estimate(runs, ended, 0.0, left, parallel=10)
    assert (found.seconds, found.parallel) == (36_000.0, 2)


def test_studies_on_disk(tmp_path: Path) -> None:
    study = Study.begin(tmp_path / "s", plan())
    assert Study.open(tmp_path / "s").plan == study.plan
    with pytest.raises(ConfigError, match="holds a study already"):
        Study.begin(tmp_path / "s", plan())
    path = tmp_path / "s" / "study.json"
    good = json.loads(path.read_text())
    for content, said in (
        ("{", "is not JSON"),
        ("[]", "is no study of mlee"),
        (json.dumps({**good, "version": 9}), "another version"),
        (json.dumps({**good, "runs": [{"number": 1}]}), r"field runs\.0\."),
        (json.dumps({**good, "options": {**good["options"], "repeats": 0}}), "field options"),
    ):
        path.write_text(content)
        with pytest.raises(ResultError, match=said):
            Study.open(tmp_path / "s")
    with pytest.raises(ResultError, match="cannot be read"):
        Study.open(tmp_path / "nowhere")


def test_only_one_sweep_works_on_a_study(tmp_path: Path) -> None:
    study = Study.begin(tmp_path, plan())
    with study.locked(), pytest.raises(ConfigError, match="is going on"), Study.open(tmp_path).locked():
        pass
    with study.locked():
        pass


def test_models_of_a_backend_are_asked_for_in_a_process_of_its_own() -> None:
    assert known_models("inference", "simulated") == ("Tiny", "Small", "Large", "Failing")
    with pytest.raises(ConfigError, match="Backend nonsense cannot be used"):
        known_models("inference", "nonsense")


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sweep", *arguments])
        try:
            code = common.run(command.main)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    yield run
    signal.signal(signal.SIGTERM, before)


def test_a_study_with_failures(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "Failing", "Nope", "--backends", "simulated", "--data-path", "synthetic:40"]
    options += ["--output-dir", str(folder), "--seed", "1"]
    code, said = call(*options, "--dry-run", *QUICK)
    assert (code, "2 runs to do: how long is not known" in said) == (0, True)
    assert not folder.exists()
    code, said = call(*options, *QUICK)
    assert code == 1
    assert "left out simulated Nope: Unknown model 'Nope'" in said
    assert "failed Failing simulated batch 32 #1: The model Failing failed in its second batch" in said
    assert "1 of 2 runs are complete" in said
    assert load([folder]).table["model"].tolist() == ["Tiny"]
    code, said = call("--resume", "--output-dir", str(folder), "--dry-run")
    assert "Tiny simulated batch 32 #1 (complete)" in said
    assert "1 runs to do" in said
    before = sorted(folder.glob("infer_*"))
    code, said = call("--resume", "--output-dir", str(folder))
    assert (code, "1 of 2 runs are complete" in said) == (1, True)
    assert len(sorted(folder.glob("infer_*"))) == len(before) + 1  # the one that failed has failed again


def test_a_study_of_trainings(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--task", "training", "--models", "Tiny", "--backends", "simulated", "--data-path", "synthetic:40"]
    code, said = call(*options, "--output-dir", str(folder), *QUICK, "--epochs", "2")
    assert code == 0, said
    (made,) = folder.glob("train_*")
    assert load_result(made).config.epochs == 2  # type: ignore[union-attr]


def test_a_folder_that_is_gone_runs_again(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "Small", "--backends", "simulated", "--data-path", "synthetic:8"]
    assert call(*options, "--output-dir", str(folder), *QUICK)[0] == 0
    shutil.rmtree(next(folder.glob("infer_*")))
    code, said = call("--resume", "--output-dir", str(folder))
    assert (code, "1 of 2 runs are complete" in said, len(list(folder.glob("infer_*")))) == (0, True, 2)


def test_the_time_left_is_that_of_as_many_jobs_as_run_at_a_time(call: Call, tmp_path: Path) -> None:
    study = Study.begin(tmp_path / "s", plan(repeats=11, seed=0))
    (tmp_path / "s" / "x").mkdir()
    (tmp_path / "s" / "x" / "result.json").write_text("{}")
    for run in study.plan.runs[:2]:
        study.write_end(run, Ended(seconds=3600.0, folder="x"))
    options = ["--resume", "--dry-run", "--output-dir", str(study.folder), "--cool-down", "60"]
    assert "20 runs to do: about 20 h 19 min, " in call(*options, "--max-parallel", "4")[1]
    said = call(*options, "--executor", "slurm", "--max-parallel", "4")[1]
    assert "20 runs to do: about 5 h 00 min with 4 jobs at a time, " in said


def test_a_study_that_goes_on_elsewhere_says_so(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "Small", "--backends", "simulated", "--data-path", "synthetic:8"]
    assert call(*options, "--output-dir", str(folder), *QUICK)[0] == 0
    gone, left = sorted(folder.glob("infer_*"))
    shutil.rmtree(gone)
    path = left / PLATFORM_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "node7", "cpu_name": "Test CPU"}))
    code, said = call("--resume", "--output-dir", str(folder))
    assert (code, "complete runs were made on node7 (Test CPU); this is " in said) == (0, True)
    shutil.rmtree(left)
    assert "complete runs were made on" not in call("--resume", "--output-dir", str(folder))[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backends", "jax"), "Unknown backend 'jax' for inference"),
        (("--task", "training", "--backends", "onnx_pytorch"), "Unknown backend 'onnx_pytorch' for training"),
        (("--repeats", "0"), "whole number of 1 or more"),
        (("--batch-sizes", "x"), "whole number of 1 or more"),
        (("--precisions", "int8"), "invalid choice"),
        (("--resume",), "study.json cannot be read"),
        (("--cool-down", "-1"), "must be 0 to"),
    ],
)
def test_wrong_values_give_one_clear_line(call: Call, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    code, found = call(*arguments, "--output-dir", str(tmp_path / "study"))
    assert code in (1, 2)
    assert said in " ".join(found.split())


def test_a_resumed_study_keeps_its_plan(call: Call, tmp_path: Path) -> None:
    Study.begin(tmp_path / "study", plan())
    code, said = call("--resume", "--output-dir", str(tmp_path / "study"), "--repeats", "5")
    assert (code, "--repeats cannot stand beside --resume" in said) == (2, True)
    code, said = call("--resume", "--output-dir", str(tmp_path / "study"), "--seed", "0")
    assert (code, "--seed cannot stand beside --resume" in said) == (2, True)


STUDY = ("--models", "Tiny", "Small", "Large", "--backends", "simulated", "--repeats", "2", "--seed", "4")


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlee.sweep", "--output-dir", str(folder), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for_results(folder: Path, count: int) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while len(list(folder.glob("infer_*/result.json"))) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _wait_until_let_go(folder: Path) -> None:
    """Wait until nothing of a study that was killed is left: a run may outlive its sweep."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            with Study.open(folder).locked():
                return
        except ConfigError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def _resume(call: Call, folder: Path) -> str:
    _wait_until_let_go(folder)
    code, said = call("--resume", "--output-dir", str(folder))
    assert code == 0, said
    return said


@pytest.mark.parametrize("end", ["group", "sweep", "Ctrl-C"])
def test_a_study_that_is_killed_goes_on_and_repeats_nothing(end: str, call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    process = _start(folder, *STUDY, "--data-path", "synthetic:100", *QUICK)
    _wait_for_results(folder, 2)
    if end == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif end == "sweep":
        process.kill()  # the run that is going on lives, and holds the study until its end
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    if end == "Ctrl-C":
        assert process.returncode == 130
        assert "--resume" in said
    complete = {path.parent.name for path in folder.glob("infer_*/result.json")}
    _resume(call, folder)
    results = {path.parent.name for path in folder.glob("infer_*/result.json")}
    assert complete <= results
    assert len(results) == 6
    study = Study.open(folder)
    ended = [study.ended(run) for run in study.plan.runs]
    assert {end.folder for end in ended if end is not None} == results


def test_a_plan_drawn_for_show_knows_nothing_of_the_study_in_its_folder(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--backends", "simulated", "--data-path", "synthetic:8", "--output-dir", str(folder)]
    assert call("--models", "Tiny", *options, *QUICK)[0] == 0
    code, said = call("--models", "Small", "--dry-run", *options, *QUICK)
    assert (code, "Small simulated batch 32 #1" in said, "(complete)" in said) == (0, True, False)


def test_records_without_their_plan_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    study = Study.begin(tmp_path, plan())
    study.write_end(study.plan.runs[0], Ended(seconds=1.0, folder="x"))
    (tmp_path / "study.json").unlink()
    with pytest.raises(ConfigError, match=r"whose study\.json is gone"):
        Study.begin(tmp_path, plan())


def test_a_run_that_failed_before_is_complete_when_its_sweep_is_killed(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "--backends", "simulated", "--data-path", "synthetic:8", "--output-dir", str(folder)]
    assert call(*options, *QUICK)[0] == 0
    study = Study.open(folder)
    (run,) = study.plan.runs
    study.write_end(run, Ended(seconds=1.0, reason="failed"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "write_end", lambda *_: pytest.fail("the sweep was killed"))
        with pytest.raises(BaseException, match="the sweep was killed"):
            run_one(str(folder), run, os.open(folder, os.O_RDONLY))
    ended = study.ended(run)
    assert ended is not None
    assert ended.complete


def test_a_job_does_not_repeat_what_another_job_has_done_or_does(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "--backends", "simulated", "--data-path", "synthetic:8", "--output-dir", str(folder)]
    assert call(*options, *QUICK)[0] == 0
    study = Study.open(folder)
    (run,) = study.plan.runs
    assert run_one(str(folder), run) == study.ended(run)
    assert len(list(folder.glob("infer_*"))) == 1
    with study.locked_run(run), pytest.raises(ConfigError, match=r"Tiny .* is going on already"):
        run_one(str(folder), run)


class _FailedJob:
    """A job of a cluster whose function raised, or that was killed."""

    job_id = "7_0"

    def done(self) -> bool:
        return True

    def result(self) -> Ended:
        raise RuntimeError("Job (task=0) failed during processing")


class _Executor:
    """Stands for submitit's: every job fails."""

    def __init__(self, folder: Path) -> None:
        pass

    def update_parameters(self, **parameters: object) -> None:
        pass

    def map_array(self, function: object, folders: list[str], runs: list[Run]) -> list[_FailedJob]:
        return [_FailedJob() for _ in runs]


@pytest.fixture
def failing_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(SlurmExecutor=_Executor))


@pytest.mark.usefixtures("failing_jobs")
def test_a_job_that_fails_leaves_a_complete_run_as_it_is(tmp_path: Path) -> None:
    study = Study.begin(tmp_path, plan())
    complete, told, failed = study.plan.runs[:3]
    for run in (complete, told):
        (tmp_path / f"infer_{run.number}").mkdir()
        (tmp_path / f"infer_{run.number}" / "result.json").write_text("{}")
    ended = Ended(seconds=12.0, folder=f"infer_{complete.number}")
    study.write_end(complete, ended)
    study.record(told).with_suffix(".out").write_text(f"/study/infer_{told.number}\n")  # its watcher was killed
    study.write_end(failed, Ended(seconds=3.0, reason="an earlier one"))
    found = dict(run_on_slurm(study, (complete, told, failed), SlurmOptions()))
    assert found[complete] == study.ended(complete) == ended
    assert found[told] == study.ended(told) == Ended(seconds=0.0, folder=f"infer_{told.number}")
    assert found[failed] == study.ended(failed)
    assert found[failed].reason == "job 7_0: RuntimeError: Job (task=0) failed during processing"


@pytest.mark.usefixtures("failing_jobs")
def test_a_run_on_which_another_job_works_is_not_written_down_as_failed(tmp_path: Path) -> None:
    study = Study.begin(tmp_path, plan())
    run = study.plan.runs[0]
    with study.locked_run(run):
        ((_, found),) = run_on_slurm(study, (run,), SlurmOptions())
    assert "is going on already" in (found.reason or "")
    assert study.ended(run) is None


def test_a_study_is_rated_without_a_word_about_its_plan(call: Call, tmp_path: Path) -> None:
    options = [
        "--models",
        "Tiny",
        "--backends",
        "simulated",
        "--data-path",
        "synthetic:8",
        "--output-dir",
        str(tmp_path / "s"),
    ]
    assert call(*options, *QUICK)[0] == 0
    assert load([tmp_path / "s"]).unreadable == ()


def test_a_study_in_a_folder_that_cannot_be_locked_says_so(tmp_path: Path) -> None:
    study = Study.begin(tmp_path, plan())
    (tmp_path / ".lock").mkdir()
    with pytest.raises(ConfigError, match=r"\.lock cannot be locked: Is a directory"), study.locked():
        pass


def test_what_has_failed_now_is_not_left() -> None:
    runs = plan().runs
    ended = {runs[0].number: Ended(seconds=10.0, folder="a"), runs[1].number: Ended(seconds=1.0, reason="failed")}
    assert estimate(runs, ended, 0.0, runs[2:]).seconds == 20.0
    assert estimate(runs, ended, 0.0, []).seconds == 0.0


def _cut_off(folder: Path, epochs: int, *words: str) -> Path:
    """Run a study of one training and kill it when so many epochs are written down; return the training's folder."""
    process = _start(folder, *words)
    deadline_s = time.monotonic() + WAIT_S
    while True:
        found = [path.parent for path in folder.glob("train_*/progress.json")]
        if any(len(read_progress(path).history) >= epochs for path in found):
            break
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    _wait_until_let_go(folder)
    return found[0]


TRAINING = ("--task", "training", "--models", "Small", "--backends", "simulated", "--data-path", "synthetic:256", *QUICK)


@pytest.mark.parametrize("times", [1, 2])
def test_a_training_that_was_cut_off_goes_on_from_its_last_epoch(times: int, call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    for number in range(times):
        _cut_off(folder, number + 1, *(["--resume"] if number else [*TRAINING, "--epochs", "4"]))
    _resume(call, folder)
    (made,) = folder.glob("train_*")
    result = load_result(made)
    assert "resumed" in {warning.code for warning in result.warnings}
    assert isinstance(result.outcome, TrainingOutcome)
    assert len(result.outcome.history) == 4
    assert "1 of 1 runs are complete" in _resume(call, folder).replace("\n", " ")


def test_a_training_that_cannot_go_on_begins_anew(call: Call, tmp_path: Path) -> None:
    begun = _cut_off(tmp_path / "study", 1, *TRAINING, "--epochs", "3")
    progress = begun / "progress.json"
    progress.write_text(json.dumps({**json.loads(progress.read_text()), "global_batch_size": 64}))  # other GPUs
    code, said = call("--resume", "--output-dir", str(begun.parent))
    assert (code, f"{begun.name} stays as it is, the next attempt begins anew" in " ".join(said.split())) == (1, True)
    _resume(call, begun.parent)
    assert progress.exists()
    assert [path.name for path in begun.parent.glob("train_*/result.json")] == ["result.json"]


def test_what_libraries_print_hides_no_folder_and_a_part_is_not_the_length_of_a_run(call: Call, tmp_path: Path) -> None:
    begun = _cut_off(tmp_path / "study", 1, *TRAINING, "--epochs", "3")
    study = Study.open(begun.parent)
    (run,) = study.plan.runs
    with open(study.record(run).with_suffix(".out"), "a", encoding="utf-8") as out:
        out.write("onednn_verbose,v1,info\nNCCL INFO ready\n")
    _resume(call, begun.parent)
    ended = study.ended(run)
    assert ended is not None
    assert (ended.folder, ended.went_on) == (begun.name, True)
    assert estimate([run, replace(run, number=2)], {1: ended}, 0.0).seconds is None
