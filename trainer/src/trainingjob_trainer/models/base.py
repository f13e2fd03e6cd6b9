"""The interface of a model type. A model type is one class, and one entry in the table of ``factory``."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.columns import ANALOGUE_COLUMNS, GRU_FEATURES, TELEMETRY_COLUMNS
from trainingjob_trainer.data.dataset import Dataset, Telemetry, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.comparison import Comparison, FreshErrors, IncomparableError, RegisteredModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.report.content import MetricsTable, ReportContent

DatasetT = TypeVar("DatasetT", bound=Dataset)


class ContractName(NamedTuple):
    """Beginning and end of an object name at the top of the bucket; machine and timestamp stand between them."""

    prefix: str
    suffix: str


class ModelType(ABC, Generic[DatasetT]):
    """Prepares, trains and reports models of one type.

    A module of a type imports its heavy libraries in the functions that need them: each costs seconds and hundreds of
    megabytes, and ``check``, ``--help`` and the other types do not need them.

    Attributes:
        name: The value of ``spec.model.type``.
        trainer_revision: Incremented when the same data and spec give a different model than before; models of an
            older revision are then not adopted.
        has_base: Whether ``train_base`` can return a base.
        comparison_files: Roles of the files of a registered model that ``compare`` reads; none of them a pickle.
        contract_names: Role of a file to its object name, for the files that readers look for. ``model`` is one of
            them. The key of another role is registered as the metric ``ROLE_path``.
        libraries: Modules that ``train`` imports and that take long to import; a run imports them while it loads the
            telemetry.
    """

    name: ClassVar[str]
    trainer_revision: ClassVar[int]
    has_base: ClassVar[bool] = False
    comparison_files: ClassVar[Sequence[str]] = ()
    contract_names: ClassVar[Mapping[str, ContractName]]
    libraries: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def prepare(self, telemetry: Telemetry, spec: TrainingJobSpec) -> DatasetT:
        """Turn telemetry into the dataset of this type; everything that is fitted is fitted on the training part.

        Raises:
            TrainingError: InsufficientData, SingleClass or InvalidConfiguration; the message says what to do.
        """

    @abstractmethod
    def train(
        self,
        dataset: DatasetT,
        spec: TrainingJobSpec,
        reporter: Reporter,
        *,
        checkpoints: Checkpoints | None,
        device: Device,
        base: FleetBase | None = None,
    ) -> TrainedModel:
        """Train one model and evaluate it on the test part.

        Args:
            dataset: As ``prepare`` returned it.
            spec: What to train.
            reporter: Receives progress and heartbeats, and says whether to stop.
            checkpoints: Those of this run; None stores nothing. A type that cannot resume leaves them alone.
            device: What to compute on.
            base: What to start from; None starts from random weights, as does a machine that the base does not suit,
                which ``metrics["notes"]`` then says.

        Raises:
            TrainingError: Diverged, Suspended, AcceleratorMissing or a reason that concerns the data.
        """

    def machines_at_once(self, device: Device) -> int:
        """How many machines ``train_many`` trains at once on a device, at most; with 1 it is not called."""
        return 1

    def train_many(
        self,
        machines: Sequence[tuple[DatasetT, TrainingJobSpec]],
        reporter: Reporter,
        *,
        device: Device,
        base: FleetBase | None = None,
    ) -> list[TrainedModel | TrainingError]:
        """Train one model of each machine, all of them at once; see ``machines_at_once``.

        No checkpoints are stored: an attempt that ends early starts over.

        Args:
            machines: Dataset and spec of each.
            reporter: Receives heartbeats, and says whether to stop.
            device: What to compute on.
            base: What to start from; see ``train``.

        Returns:
            For each machine its model, or why it has none; one that fails leaves the others alone.

        Raises:
            TrainingError: Suspended, AcceleratorMissing.
        """
        raise NotImplementedError(f"the model type {self.name} trains one machine after the other")

    def prepare_for_base(self, telemetry: Telemetry, spec: TrainingJobSpec, boundary: np.datetime64) -> DatasetT:
        """Turn telemetry into the dataset from which a base learns of this machine.

        Nothing in it depends on rows at or after ``boundary``, nor on the validation part or the test part of the
        machine's own dataset.

        Args:
            telemetry: All the telemetry of the machine, as ``prepare`` gets it.
            spec: That of the machine.
            boundary: See ``FleetBase``.

        Raises:
            TrainingError: InsufficientData where a base can learn nothing of this machine, and as ``prepare``.
        """
        raise NotImplementedError(f"the model type {self.name} has no base")

    def train_base(
        self,
        datasets: Iterable[tuple[str, DatasetT]],
        spec: TrainingJobSpec,
        boundary: np.datetime64,
        reporter: Reporter,
        *,
        device: Device,
    ) -> FleetBase | None:
        """Train one model on all machines of a fleet together, for each of them to start from.

        Args:
            datasets: Machine and its dataset, as ``prepare_for_base`` returns it. It is read once, and no dataset is
                kept: memory does not grow with the number of machines.
            spec: What to train; its machine does not matter.
            boundary: See ``FleetBase``.
            reporter: Receives progress and heartbeats, and says whether to stop.
            device: What to compute on.

        Returns:
            None where there is no base: this type has none, too few machines have equal features, or it diverged.

        Raises:
            TrainingError: Suspended, AcceleratorMissing.
        """
        return None

    @abstractmethod
    def sample_metrics(self) -> Mapping[str, Any]:
        """Metrics of the kind that ``train`` returns, to try the registry before anything is trained."""

    @abstractmethod
    def result_table(self, metrics: Mapping[str, Any]) -> MetricsTable:
        """The most important metrics and those of baselines, for the terminal."""

    def settings(self, spec: TrainingJobSpec) -> dict[str, Any]:
        """The resolved settings of this type by API name, for the report."""
        settings: dict[str, Any] = getattr(spec.model, self.name).model_dump(by_alias=True, mode="json")
        return settings

    def sensors(self, spec: TrainingJobSpec) -> set[str]:
        """Columns that a model is trained on where the table has them; one that is not numeric is reported."""
        return {*TELEMETRY_COLUMNS, *GRU_FEATURES}.difference(ANALOGUE_COLUMNS)

    def columns(self, spec: TrainingJobSpec, numeric: Sequence[str]) -> tuple[str, ...]:
        """Columns to load.

        Args:
            spec: What to train.
            numeric: The numeric columns of the table, in its order.

        Returns:
            All of them, unless a type knows that it needs fewer: a false reading in any sensor spoils the columns
            that are computed from it.
        """
        return tuple(numeric)

    def describe(self, dataset: DatasetT, spec: TrainingJobSpec) -> Iterable[tuple[str, str]]:
        """Further output of ``check`` for this type: names of at most 14 characters, and text."""
        return ()

    def report(self, dataset: DatasetT, trained: TrainedModel) -> ReportContent:
        """The contents of the report that are specific to this type."""
        return ReportContent()

    def compare(
        self, dataset: DatasetT, spec: TrainingJobSpec, trained: TrainedModel, registered: RegisteredModel
    ) -> Comparison:
        """Evaluate a registered model on the test rows of a new one that the registered one was not trained on.

        Args:
            dataset: The data of the new model.
            spec: That of the new model.
            trained: The new model, as ``train`` returned it.
            registered: The model to compare with.

        Raises:
            IncomparableError: The two cannot be compared, or the registered one cannot be read.
        """
        raise IncomparableError(f"a model of type {self.name} cannot be compared with another one")

    def fresh_errors(self, dataset: DatasetT, registered: RegisteredModel, after: np.datetime64) -> FreshErrors | None:
        """Evaluate a registered model on the running rows after its own data.

        Args:
            dataset: Data of the same machine.
            registered: The model.
            after: The last instant of the model's data, its test part included, UTC.

        Returns:
            None where there are too few rows to conclude anything, and for a type whose error is not measured so.

        Raises:
            IncomparableError: The model cannot be read, or the data lack a column that it needs.
        """
        return None
