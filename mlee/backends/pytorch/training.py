"""Training with PyTorch: one model, its data and optimiser, alone or as one of the processes that torchrun starts."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mlee.backends.base import Progress
from mlee.backends.batches import check_fits
from mlee.backends.evaluation import Skipped, evaluate
from mlee.backends.pytorch.augmentation import training_transform, validation_preset
from mlee.backends.pytorch.compiling import compile_whole, graphs_compiled
from mlee.backends.pytorch.counting import TorchCounter
from mlee.backends.pytorch.facts import MACS_METHOD, count_macs, count_parameters, weights_bytes
from mlee.backends.pytorch.models import find_model, model_names
from mlee.backends.pytorch.normalization import set_batch_norm_momentum
from mlee.backends.pytorch.optimizers import make_optimizer, set_learning_rate
from mlee.backends.pytorch.team import describe_team, join_team
from mlee.backends.pytorch.training_data import derived_seed, make_loaders, share_of
from mlee.backends.pytorch.trouble import expected_trouble
from mlee.backends.threads import loading_workers
from mlee.backends.training_base import (
    ResolvedTraining,
    TrainingBackend,
    TrainingRequest,
    epoch_size,
    pooled,
    validation_size,
)
from mlee.datasets import SyntheticImages, without_records
from mlee.datasets.training import open_training_data
from mlee.errors import BackendError, ResultError
from mlee.records import ModelFacts, Outcome, Warning

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class PyTorchTraining(TrainingBackend):
    """Trains an image classifier on the CPU or one GPU a process."""

    name = "pytorch"
    weights_suffix = state_suffix = ".pt"

    def __init__(self, request: TrainingRequest) -> None:
        """Join the team, build the model, open the data, count, place and compile."""
        self._device, self.team, self._unused_gpus = join_team(request.device)
        self._seed = request.seed
        torch.manual_seed(request.seed)
        data = open_training_data(request.data_path)
        self.dataset = data.name
        train = without_records(data.train, self.name)
        validation = without_records(data.validation, self.name)
        global_batch_size = request.batch_size * self.team.size
        batches, samples = epoch_size(len(train), global_batch_size, request.n_batches)
        validation_samples = validation_size(len(validation), global_batch_size, request.n_batches)
        source = find_model(request.model)
        preset = validation_preset(request, data)
        size = int(preset.crop_size[0])
        check_fits(request.batch_size, size)
        self._module = source.build_untrained(len(data.classes), size)
        momentum = set_batch_norm_momentum(self._module, request.batch_norm_momentum, batches)
        workers = loading_workers(request.workers, isinstance(train, SyntheticImages))
        cuda = self._device.type == "cuda"
        local = share_of(validation, validation_samples, self.team)
        self._loader, self._validation = make_loaders(
            train,
            local,
            transform=training_transform(request, data, preset),
            preset=preset,
            batches=batches,
            batch_size=request.batch_size,
            classes=len(data.classes),
            seed=request.seed,
            team=self.team,
            workers=workers,
            cuda=cuda,
        )
        self.facts = ModelFacts(
            name=source.name,
            parameters=count_parameters(self._module),
            macs=count_macs(self._module, size),
            macs_method=MACS_METHOD,
            weights_bytes=weights_bytes(self._module),
            weights="random",
        )
        self._batch_size, self._image_size, self._classes = request.batch_size, size, len(data.classes)
        self._local_validation = len(local)
        self._autocast = _AUTOCAST[request.precision]
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=request.precision == "fp16")
        self._compiled, self._compiled_late = request.compile, 0
        with expected_trouble(self.facts.name):
            self._module.to(self._device)
        self._evaluated = compile_whole(self._module, any_size=False) if request.compile else self._module
        self._trained = self._evaluated
        if self.team.size > 1:
            self._trained = DistributedDataParallel(self._evaluated, device_ids=[self._device] if cuda else None)
        self._optimizer = make_optimizer(self._module, request)
        self.resolved = ResolvedTraining(
            device=describe_team(self._device, self.team),
            image_size=size,
            workers=workers,
            global_batch_size=global_batch_size,
            batches=batches,
            samples=samples,
            validation_samples=validation_samples,
            classes=len(data.classes),
            interpolation=preset.interpolation.value,
            batch_norm_momentum=momentum,
            gpu_uuids=(str(torch.cuda.get_device_properties(self._device).uuid),) if cuda else (),
        )
        self.classes = data.classes
        self.details = {
            "threads": torch.get_num_threads(),
            "batch_size_per_gpu": request.batch_size if cuda else None,
            "resize_size": int(preset.resize_size[0]),
            "cuda": torch.version.cuda if cuda else None,
            "deterministic": not cuda,
        }

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models."""
        return model_names()

    def warm_up(self, batches: int) -> None:
        """Run steps without their updates, and validation batches of both sizes that occur; running means are put back."""
        before = copy.deepcopy(self._module.state_dict())
        with expected_trouble("A batch of random images"):
            for _ in range(max(batches, 1)):
                images = torch.rand(self._batch_size, 3, self._image_size, self._image_size)
                self._backward(self._step(images, torch.arange(self._batch_size) % self._classes)[0])
                self._optimizer.zero_grad()
            self._module.eval()
            for size in {min(self._batch_size, self._local_validation), self._local_validation % self._batch_size} - {0}:
                with torch.inference_mode():
                    self._forward(torch.rand(size, 3, self._image_size, self._image_size))
            self._loader.start()
            self._validation.start()
        self._module.load_state_dict(before)
        self._synchronise()

    def train_epoch(self, epoch: int, learning_rate: float, progress: Progress) -> Outcome:
        """Run an epoch; loss and hits stay on the device until its end."""
        before = graphs_compiled() if self._compiled else 0
        torch.manual_seed(derived_seed(self._seed, epoch, self.team.rank))  # dropout
        set_learning_rate(self._optimizer, learning_rate)
        self._module.train()
        loss_sum = hits1 = hits5 = torch.zeros((), dtype=torch.float64, device=self._device)
        done = 0
        with expected_trouble("A batch of images"):
            for images, labels in self._loader.epoch(epoch):
                loss, logits, labels = self._step(images, labels)
                self._backward(loss)
                self._scaler.step(self._optimizer)
                self._scaler.update()
                self._optimizer.zero_grad()
                with torch.no_grad():
                    hit = logits.topk(min(5, self._classes)).indices == labels[:, None]
                    loss_sum = loss_sum + loss.detach() * len(labels)
                    hits1, hits5 = hits1 + hit[:, 0].sum(), hits5 + hit.any(1).sum()
                done += len(labels)
                progress(done * self.team.size)
            self._synchronise()
        found = Outcome(
            samples=done,
            loss=self._finite(float(loss_sum)) / done,
            top1_accuracy=float(hits1) / done,
            top5_accuracy=float(hits5) / done,
        )
        if self._compiled:
            self._compiled_late += graphs_compiled() - before
        return pooled(self.team.gather(found))

    def _finite(self, loss: float) -> float:
        """Refuse, in all processes alike, a loss that is no number any more."""
        losses = self.team.gather(loss)
        if not all(abs(found) < float("inf") for found in losses):
            raise BackendError(
                f"The loss of {self.facts.name} is not a finite number any more: the training diverged.",
                "pass a smaller --lr, or --precision fp32 or bf16; --resume goes on from the last whole epoch",
            )
        return loss

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return loss, logits and labels of a batch on the device, ready for the way back."""
        self._module.train()
        labels = labels.to(self._device, non_blocking=True)
        images = images.to(self._device, non_blocking=True)
        with self._casting():
            logits = self._run(self._trained, images)
            loss = nn.functional.cross_entropy(logits.float(), labels)
        return loss, logits, labels

    def _backward(self, loss: torch.Tensor) -> None:
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def _casting(self) -> torch.autocast:
        return torch.autocast(self._device.type, dtype=self._autocast, enabled=self._autocast is not None)

    def _run(self, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        try:
            with expected_trouble(f"A batch of {len(images)} images"):
                logits: torch.Tensor = model(images)
        except BackendError:
            raise
        except Exception as error:
            # A compiler may fail with anything; a model is Python, and anything else it raises is a bug.
            if not self._compiled and not isinstance(error, (RuntimeError, AssertionError, ValueError)):
                raise
            raise BackendError(
                f"{self.facts.name} cannot be trained on images of size {tuple(images.shape)}: {error}",
                ("leave --compile out, or " if self._compiled else "") + "pass another --image-size",
            ) from error
        return logits

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        with self._casting():
            return self._run(self._evaluated, images.to(self._device, non_blocking=True))

    def validate(self, progress: Progress) -> Outcome:
        """Evaluate this process's share of the images, and add up those of all."""
        if self.team.size > 1:
            for buffer in self._module.buffers():  # running means are the leader's, here as in its file of weights
                dist.broadcast(buffer, 0)
        self._module.eval()
        found = None
        if self._local_validation:
            counter = TorchCounter(self._forward, self._device, self._synchronise)
            with expected_trouble("A batch of images"):
                found = evaluate(
                    self._validation,
                    counter,
                    lambda samples: progress(samples * self.team.size),
                    model=self.facts.name,
                    data=self.dataset,
                    skipped=Skipped(allowed=False),
                )
        return pooled([outcome for outcome in self.team.gather(found) if outcome is not None])

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def weights(self) -> bytes:
        """Return what `torch.save(model.state_dict())` writes."""
        return _saved(self._module.state_dict())

    def state(self) -> bytes:
        """Return weights, running means, the optimiser's moments and the scale of the loss."""
        return _saved(
            {
                "model": self._module.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
            }
        )

    def restore(self, path: Path) -> None:
        """Take over a `state`; it is read without executing anything."""
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            self._module.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])
        except Exception as error:  # torch raises a dozen kinds for a damaged file; each means the same here
            reason = " ".join(str(error).split("\n", 2)[:2]).strip()[:300] or type(error).__name__
            raise ResultError(
                f"{path} does not hold the state of a training of {self.facts.name}: {reason}", "start the training anew"
            ) from error

    def warnings(self) -> Iterator[Warning]:
        """Tell of GPUs that were left alone, and of what was compiled late."""
        if self._unused_gpus:
            yield Warning(
                code="gpu-unused",
                message=f"{self._unused_gpus} more GPUs are here: torchrun --standalone --nproc_per_node="
                f"{self._unused_gpus + 1} train.py ... takes all",
            )
        if self._compiled_late:
            message = f"{self._compiled_late} times a model was compiled inside an epoch: its time and energy count"
            yield Warning(code="compiled-late", message=message)

    def close(self) -> None:
        """Leave the team."""
        self.team.close()


def _saved(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()
