"""Training with the `simulated` backend: waits, and learns along a formula, to try everything around a training."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

from mlee.backends.base import Progress
from mlee.backends.simulated import MODELS
from mlee.backends.training_base import ResolvedTraining, Team, TrainingBackend, TrainingRequest, epoch_size
from mlee.catalogue import match_name
from mlee.datasets.training import open_training_data
from mlee.errors import BackendError, ResultError
from mlee.records import ModelFacts, Outcome

#: Samples whose error is e times smaller than that of a model that has seen none.
_SAMPLES_TO_LEARN = 1000.0


class SimulatedTraining(TrainingBackend):
    """Waits a fixed time for each sample; accuracy grows with the samples it has seen."""

    name = "simulated"
    weights_suffix = state_suffix = ".json"

    def __init__(self, request: TrainingRequest) -> None:
        """Take the request as it is; images are counted, never read."""
        self._name = match_name(request.model, MODELS)
        parameters, macs, self._seconds = MODELS[self._name]
        data = open_training_data(request.data_path)
        self.dataset, self.classes, self.team = data.name, data.classes, Team()
        batches, samples = epoch_size(len(data.train), request.batch_size, request.n_batches)
        self._batch_size, self._seen = request.batch_size, 0
        self.facts = ModelFacts(
            name=self._name,
            parameters=parameters,
            macs=macs,
            macs_method="made up",
            weights_bytes=4 * parameters,
            weights="none",
        )
        self.resolved = ResolvedTraining(
            device="simulated",
            image_size=request.image_size or 224,
            workers=0,
            global_batch_size=request.batch_size,
            batches=batches,
            samples=samples,
            validation_samples=len(data.validation),
            classes=len(data.classes),
            interpolation=request.interpolation or "bilinear",
            batch_norm_momentum=request.batch_norm_momentum,
        )
        self.details = {"simulated": True, "deterministic": True}

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of the made-up models."""
        return tuple(MODELS)

    def warm_up(self, batches: int) -> None:
        """Wait as long as that many batches take."""
        time.sleep(batches * self._batch_size * self._seconds)

    def train_epoch(self, epoch: int, learning_rate: float, progress: Progress) -> Outcome:
        """Wait for every batch."""
        if self._name == "Failing" and epoch:
            raise BackendError("The model Failing failed in its second epoch, as it is made to.")
        self._wait(self.resolved.samples, progress)
        self._seen += self.resolved.samples
        return self._outcome(self.resolved.samples)

    def validate(self, progress: Progress) -> Outcome:
        """Wait for the images for validation."""
        self._wait(self.resolved.validation_samples, progress)
        return self._outcome(self.resolved.validation_samples)

    def _wait(self, samples: int, progress: Progress) -> None:
        for done in range(0, samples, self._batch_size):
            batch = min(self._batch_size, samples - done)
            time.sleep(batch * self._seconds)
            progress(done + batch)

    def _outcome(self, samples: int) -> Outcome:
        wrong = math.exp(-self._seen / _SAMPLES_TO_LEARN) * (1 - 1 / self.resolved.classes)
        return Outcome(samples=samples, loss=2 * wrong, top1_accuracy=1 - wrong, top5_accuracy=1 - wrong / 5)

    def weights(self) -> bytes:
        """Return how many samples were seen."""
        return json.dumps({"seen": self._seen}).encode()

    def state(self) -> bytes:
        """Return how many samples were seen."""
        return self.weights()

    def restore(self, path: Path) -> None:
        """Take over a `state`."""
        try:
            self._seen = int(json.loads(path.read_bytes())["seen"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResultError(f"{path} does not hold the state of a simulated training: {error}") from error
