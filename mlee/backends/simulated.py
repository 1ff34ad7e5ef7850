"""The `simulated` backend: a model that only waits, to show and test everything around a model without a framework."""

from __future__ import annotations

import time

from mlee.backends.base import InferenceBackend, InferenceRequest, Progress, PublishedAccuracy, Resolved
from mlee.catalogue import match_name
from mlee.datasets import SyntheticImages, open_dataset
from mlee.errors import BackendError
from mlee.records import ModelFacts, Outcome

#: Each made-up model: parameters, MACs, and how long it waits for one sample [s].
MODELS: dict[str, tuple[int, int, float]] = {
    "Tiny": (1_000_000, 100_000_000, 0.0005),
    "Small": (5_000_000, 1_000_000_000, 0.002),
    "Large": (50_000_000, 10_000_000_000, 0.01),
    "Failing": (1, 1, 0.001),  # raises in its second batch: for tests of what happens then
}


class SimulatedInference(InferenceBackend):
    """Waits a fixed time for each sample and classifies nothing."""

    name = "simulated"

    def __init__(self, request: InferenceRequest) -> None:
        """Take the request as it is; images are counted, never read."""
        self._name = match_name(request.model, MODELS)
        parameters, macs, self._seconds = MODELS[self._name]
        self.dataset = open_dataset(request.data_path)
        if not isinstance(self.dataset, SyntheticImages):
            self.dataset = SyntheticImages(len(self.dataset))
        samples = len(self.dataset)
        if request.n_batches is not None:
            samples = min(samples, request.n_batches * request.batch_size)
        self._batch_size = request.batch_size
        self.facts = ModelFacts(
            name=self._name,
            parameters=parameters,
            macs=macs,
            macs_method="made up",
            weights_bytes=4 * parameters,
            weights="none",
        )
        self.resolved = Resolved(
            device="simulated",
            image_size=request.image_size or 224,
            workers=0,
            global_batch_size=request.batch_size,
            batches=-(-samples // request.batch_size),
            samples=samples,
            weights="none",
        )
        self.details = {"simulated": True}

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of the made-up models."""
        return tuple(MODELS)

    def warm_up(self, batches: int) -> None:
        """Wait as long as that many batches take."""
        time.sleep(batches * self._batch_size * self._seconds)

    def evaluate(self, progress: Progress) -> Outcome:
        """Wait for every batch."""
        done = 0
        while done < self.resolved.samples:
            if self._name == "Failing" and done:
                raise BackendError("The model Failing failed in its second batch, as it is made to.")
            batch = min(self._batch_size, self.resolved.samples - done)
            time.sleep(batch * self._seconds)
            done += batch
            progress(done)
        return Outcome(samples=done)

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Nothing is published about made-up models."""
        return None
