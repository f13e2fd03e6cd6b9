"""The input of a fleet's workers: the JSON of the operator, and the YAML of a TrainingFleet."""

import json
import re
from datetime import UTC, datetime

import pytest

from trainingjob_api.fleet_run import FleetRun, UncheckedFleetRun
from trainingjob_api.hashing import fleet_spec_hash
from trainingjob_api.training_run import TrainingRun, Window
from trainingjob_api.values import PATTERN_RULES
from trainingjob_trainer.documents.manifest import TrainingFleetManifest
from trainingjob_trainer.documents.run_of_file import load_run
from trainingjob_trainer.documents.training_fleet import load_training_fleet, read_fleet_run
from trainingjob_trainer.documents.training_job import load_training_job
from trainingjob_trainer.errors import TrainingError

NOW = datetime(2025, 9, 15, 12, tzinfo=UTC)
HEAD = "apiVersion: training.pumphealth.io/v1alpha1\nkind: TrainingFleet\nmetadata: {name: rental-health}\n"
SPEC = """spec:
  machines: {matching: "MOTOBOMBA-*"}
  template:
    model: {type: gru, gru: {base: Own, epochs: 10}}
    data: {lookbackDays: 90}
  schedule: {cron: "30 2 * * 1", timeZone: America/Sao_Paulo}
"""
FLEET = HEAD + SPEC
JOB = (
    "apiVersion: training.pumphealth.io/v1alpha1\nkind: TrainingJob\nmetadata: {name: one}\n"
    "spec: {machine: M, model: {type: gru}}\n"
)


def test_a_worker_reads_what_the_operator_hands_over() -> None:
    spec = {"machines": {"names": ["A", "B"]}, "template": {"model": {"type": "xgb"}}, "workers": 3}
    written = UncheckedFleetRun(
        namespace="models",
        name="rental",
        uid="0a1b2c3d-0000",
        run=3,
        attempt=2,
        spec_hash=fleet_spec_hash(spec),
        window=Window(end=NOW),
        adopt=False,
        accelerator_policy="Disabled",
        retry_failed=True,
        spec=spec,
    )
    run = read_fleet_run(written.model_dump_json(by_alias=True, exclude_none=True))
    assert (run.namespace, run.name, run.uid, run.run, run.attempt) == ("models", "rental", "0a1b2c3d-0000", 3, 2)
    assert (run.window.start, run.window.end, run.adopt, run.retry_failed) == (None, NOW, False, True)
    assert (run.spec.machines.names, run.spec.workers, run.spec.retries_per_machine) == (("A", "B"), 3, 1)
    assert run.spec_hash == fleet_spec_hash(run.spec.as_json())


def test_an_invalid_training_fleet_variable_names_the_field() -> None:
    broken = json.loads(load_training_fleet(FLEET, NOW).model_dump_json(by_alias=True, exclude_unset=True))
    broken["spec"]["workers"] = 0
    with pytest.raises(TrainingError, match=r"TRAINING_FLEET: spec.workers: must be at least 1, not 0"):
        read_fleet_run(json.dumps(broken))


def test_yaml_is_the_first_run_of_a_fleet_whatever_its_schedule() -> None:
    run = load_training_fleet(FLEET, NOW)
    assert (run.namespace, run.name, run.run, run.attempt) == ("local", "rental-health", 1, 1)
    assert (run.adopt, run.retry_failed, run.accelerator_policy) == (True, False, "Preferred")
    assert run.window == Window(start=datetime(2025, 6, 17, tzinfo=UTC), end=datetime(2025, 9, 15, tzinfo=UTC))
    assert run.spec_hash == fleet_spec_hash(run.spec.as_json())


def test_a_machine_of_a_fleet_is_trained_as_by_a_training_job() -> None:
    spec = load_training_fleet(FLEET, NOW).spec.of_machine("MOTOBOMBA-007")
    assert (spec.machine, spec.model.gru.epochs, spec.data.lookback_days) == ("MOTOBOMBA-007", 10, 90)


def test_a_file_is_read_by_the_kind_of_its_object() -> None:
    assert isinstance(load_run(FLEET, NOW), FleetRun)
    assert isinstance(load_run(JOB, NOW), TrainingRun)
    assert isinstance(load_run(f"apiVersion: v1\nkind: Secret\n---\n{FLEET}", NOW), FleetRun)


def test_an_object_of_the_other_kind_is_ignored() -> None:
    both = f"{FLEET}---\n{JOB}"
    assert load_training_fleet(both, NOW).name == "rental-health"
    assert load_training_job(both, NOW).name == "one"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty; it must have a TrainingJob or TrainingFleet"),
        (f"{FLEET}---\n{JOB}", "the file must have one TrainingJob or TrainingFleet; it has 2"),
        (FLEET.replace("TrainingFleet", "Trainingfleet"), "kind: must be TrainingFleet, not 'Trainingfleet'"),
        (FLEET.replace("TrainingFleet", "TrainFleet"), "kind: must be TrainingFleet, not 'TrainFleet'"),
        (JOB.replace("TrainingJob", "TrainJob"), "kind: must be TrainingJob, not 'TrainJob'"),
        (FLEET.replace("rental-health", "415"), "metadata.name: must be text, not the number 415"),
        (
            FLEET.replace("{matching", "{names: [M], matching"),
            "spec.machines: exactly one of names and matching must be",
        ),
        (FLEET.replace('{matching: "MOTOBOMBA-*"}', "{names: [1]}"), "spec.machines.names[0]: must be text"),
        (
            FLEET.replace("MOTOBOMBA-*", "PUMP *"),
            "spec.machines.matching: must be letters, digits, ., _ and -, where *",
        ),
        (FLEET.replace("epochs", "epoch"), "spec.template.model.gru.epoch: there is no such field; epochs is probably"),
        (FLEET.replace("base: Own", "base: own"), "base: must be Fleet or Own, not 'own'; Own is probably meant"),
        (FLEET.replace("type: gru", "type: xgb"), "spec.template.model: gru must not be set when type is xgb"),
        (FLEET.replace("lookbackDays: 90", 'startDate: "2025-02-30"'), "spec.template.data.startDate: must be a date"),
        (FLEET.replace('"30 2 * * 1"', "monday"), "spec.schedule.cron: must have five fields: minute, hour, day"),
        (FLEET.replace("30 2", "30; 2"), "spec.schedule.cron: must be five fields of cron with one blank"),
        (FLEET.replace("30 2 * * 1", "30 24 * * 1"), "spec.schedule.cron: is not a cron expression: Bad hour"),
        (FLEET.replace("Sao_Paulo", "Saopaulo"), "spec.schedule.timeZone: must be the name of an IANA time zone"),
        (f"{FLEET}  workers: 101\n", "spec.workers: must be at most 100, not 101"),
        (f"{FLEET}  machine: M\n", "spec.machine: there is no such field; machines is probably meant"),
        (
            f"{FLEET.partition('spec:')[0]}spec: {{machines: {{matching: '*'}}, template: {{model: {{type: xgb}}}}, "
            "retrain: {errorRatio: 2}}\n",
            "spec: retrain.errorRatio must not be set when template.model.type is not gru",
        ),
        (f"{FLEET}  retrain: {{}}\n", "spec.retrain: newRows, olderThanDays or errorRatio must be set"),
        (
            FLEET.replace("    data:", "    gates: [{metric: recall, min: 0}]\n    data:"),
            "spec.template: gates: a gru model has no metric 'recall'",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_it_must_be(text: str, told: str) -> None:
    with pytest.raises(TrainingError) as refused:
        load_run(text, NOW)
    assert refused.value.reason == "InvalidConfiguration"
    assert told in refused.value.message
    assert len(refused.value.message.splitlines()) == 1


def test_every_pattern_of_a_fleet_has_a_description() -> None:
    schema = json.dumps(TrainingFleetManifest.model_json_schema())
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema))
    assert {json.loads(pattern) for pattern in patterns} <= set(PATTERN_RULES)
