"""One process, one framework: TensorFlow's tests run in a process of their own, and no backend loads what it must not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlee import backends
from mlee.backends import BACKEND_NAMES, inference_backend
from mlee.errors import BackendError, BackendUnavailable

ROOT = Path(__file__).parents[2]
NEEDS = {
    "pytorch": ("torch",),
    "tensorflow": ("tensorflow",),
    "onnx_pytorch": ("torch", "onnxruntime"),
    "onnx_tensorflow": ("tensorflow", "onnxruntime", "tf2onnx"),
    "simulated": (),
}
#: Runs the command line with packages that cannot be imported, and tells which frameworks were loaded in the end.
_RUN = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, path=None, target=None):
    return None if name.split(".")[0] in {blocked!r} else find(name, path, target)
PathFinder.find_spec = find_others
from mlee.cli import infer
code = infer.main({arguments!r})
print("loaded:", *sorted({{"torch", "tensorflow", "keras", "triton", "onnxruntime"}} & sys.modules.keys()))
order = list(sys.modules)
assert "tensorflow" not in order or "triton" not in order or order.index("triton") < order.index("tensorflow")
sys.exit(code)
"""


def _python(*arguments: str, timeout: float = 560, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _tests_of_tensorflow(marker: str) -> None:
    if find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    done = _python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marker, "tests/tensorflow"), MLEE_TEST_FRAMEWORK="tensorflow"
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_tests_of_tensorflow() -> None:
    """Everything in `tests/tensorflow` but what is slow."""
    _tests_of_tensorflow("not slow")


@pytest.mark.slow
def test_slow_tests_of_tensorflow() -> None:
    """The whole catalogue, and exports of many families of networks."""
    _tests_of_tensorflow("slow")


def _run_without(*blocked: str, backend: str, model: str, tmp_path: Path) -> str:
    for package in NEEDS[backend]:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    arguments = [
        *("--backend", backend, "--infer-model", model, "--weights", "random", "--data-path", "sample:3", "--quiet"),
        *("--image-size", "32", "--idle-seconds", "0", "--sensors", "simulated", "--output-dir", str(tmp_path)),
        *("--workers", "0", "--device", "cpu"),
    ]
    done = _python("-c", _RUN.format(blocked=set(blocked), arguments=arguments))
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*/result.json"))) == 1
    return done.stdout


def test_pytorch_runs_on_photographs_where_tensorflow_is_not_installed(tmp_path: Path) -> None:
    others = ("tensorflow", "keras", "onnx", "onnxruntime")
    out = _run_without(*others, backend="pytorch", model="squeezenet1_1", tmp_path=tmp_path)
    assert "torch" in out.split("loaded:")[1].split()


def test_tensorflow_runs_on_photographs_where_pytorch_is_not_installed(tmp_path: Path) -> None:
    others = ("torch", "torchvision", "triton", "onnx", "onnxruntime")
    out = _run_without(*others, backend="tensorflow", model="MobileNet", tmp_path=tmp_path)
    assert out.split("loaded:")[1].split() == ["keras", "tensorflow"]


@pytest.mark.parametrize(
    ("backend", "model", "other"),
    [("onnx_pytorch", "squeezenet1_1", "tensorflow"), ("onnx_tensorflow", "MobileNet", "torch")],
)
def test_an_export_loads_the_framework_of_its_source_alone(backend: str, model: str, other: str, tmp_path: Path) -> None:
    """Here nothing is blocked but what would show: the other framework is installed, and not loaded."""
    out = _run_without(backend=backend, model=model, tmp_path=tmp_path)
    loaded = out.split("loaded:")[1].split()
    assert other not in loaded
    assert {*NEEDS[backend], "onnxruntime"} - {"tf2onnx"} <= set(loaded)


def test_every_backend_is_looked_at_here() -> None:
    assert set(NEEDS) == set(BACKEND_NAMES)


@pytest.mark.parametrize(
    ("name", "loaded"),
    [("tensorflow", "torch"), ("onnx_tensorflow", "torch"), ("pytorch", "tensorflow"), ("onnx_pytorch", "tensorflow")],
)
def test_a_second_framework_is_refused_before_it_is_loaded(name: str, loaded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(module: str) -> None:
        raise AssertionError(f"{module} is imported")

    monkeypatch.setattr(backends, "import_module", fail)
    for framework in ("torch", "tensorflow"):
        monkeypatch.delitem(sys.modules, framework, raising=False)
    monkeypatch.setitem(sys.modules, loaded, sys)
    with pytest.raises(BackendError, match="process that has loaded") as refused:
        inference_backend(name)
    assert "process of its own" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("name", "missing", "extras"),
    [
        ("pytorch", "torch", "pytorch"),
        ("tensorflow", "tensorflow", "tensorflow"),
        ("onnx_pytorch", "onnxruntime", "pytorch,onnx"),
        ("onnx_tensorflow", "tf2onnx", "tensorflow,onnx"),
    ],
)
def test_a_missing_package_names_the_extras_that_install_it(
    name: str, missing: str, extras: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: str) -> None:
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setattr(backends, "import_module", fail)
    for framework in ("torch", "tensorflow"):
        monkeypatch.delitem(sys.modules, framework, raising=False)
    with pytest.raises(BackendUnavailable, match=f"needs {missing}") as refused:
        inference_backend(name)
    assert f'".[{extras}]"' in (refused.value.hint or "")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{extra} = [\n" in text for extra in extras.split(","))


def test_check_names_what_a_backend_lacks_and_the_extras_that_bring_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlee.cli import infer

    really_find = backends.find_spec
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "onnxruntime" else really_find(name))
    assert infer.main(["--check"]) == 0
    out = capsys.readouterr().out
    assert "--backend onnx_tensorflow  onnxruntime" in out
    assert 'pip install -e ".[tensorflow,onnx]"' in out
    assert "yes --backend simulated" in out
