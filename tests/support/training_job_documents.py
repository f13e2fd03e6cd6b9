"""Valid and invalid YAML documents of one TrainingJob each. API server and trainer must agree on each of them."""

from collections.abc import Mapping

HEAD = "apiVersion: training.pumphealth.io/v1alpha1\nkind: TrainingJob\n"
NAME = "metadata: {name: example}\n"
SPEC = "spec: {machine: M, model: {type: gru}}\n"


def with_metadata(metadata: str) -> str:
    """A whole TrainingJob with these entries of metadata."""
    return f"{HEAD}metadata: {{{metadata}}}\n{SPEC}"


def with_machine(machine: str) -> str:
    """A whole TrainingJob with this as its machine."""
    return f"{HEAD}{NAME}spec: {{machine: {machine}, model: {{type: gru}}}}\n"


def with_gru(gru: str) -> str:
    """A whole TrainingJob with these entries of spec.model.gru."""
    return f"{HEAD}{NAME}spec: {{machine: M, model: {{type: gru, gru: {{{gru}}}}}}}\n"


def with_spec(entries: str) -> str:
    """A whole TrainingJob with these further entries of spec."""
    return f"{HEAD}{NAME}spec: {{machine: M, model: {{type: gru}}, {entries}}}\n"


RIGHT: Mapping[str, str] = {
    "the shortest": HEAD + NAME + SPEC,
    "a document marker before it": "---\n" + HEAD + NAME + SPEC,
    "JSON": '{"apiVersion": "training.pumphealth.io/v1alpha1", "kind": "TrainingJob", '
    '"metadata": {"name": "example"}, "spec": {"machine": "M", "model": {"type": "gru"}}}',
    "labels and annotations": with_metadata(
        'name: example, labels: {a.b/c: d, e: ""}, annotations: {f.g/h: "some, text"}'
    ),
    "a label that is written but empty": with_metadata("name: example, labels: {site: }"),
    "a namespace": with_metadata("name: example, namespace: default"),
    "a name of digits in quotes": with_metadata('name: "415"'),
    "a name of 63 characters": with_metadata(f"name: {'p' * 63}"),
    "a status, which is passed over": HEAD + NAME + SPEC + "status: {phase: Running}\n",
    "a machine that begins with a digit": with_machine("7e"),
    "a machine that looks like a version": with_machine("1.2.3"),
    "a machine that looks like a date": with_machine("2025-01-01"),
    "a machine that is called a text": with_machine("!!str 415"),
    "a machine that is called a number in quotes": with_machine('"415"'),
    "a folded machine": f"{HEAD}{NAME}spec:\n  machine: >-\n    M\n  model: {{type: gru}}\n",
    "a whole number with a fraction of zero": with_gru("epochs: 100.0"),
    "a whole number with an exponent": with_gru("epochs: 1e2"),
    "an octal number": with_gru("epochs: 010"),
    "a binary number": with_gru("epochs: 0b11"),
    "a number with underscores": with_gru("epochs: 1_0"),
    "a number without a leading zero": with_gru("dropout: .5"),
    "a boolean that is spelled yes": with_spec("runPolicy: {suspend: yes}"),
    "a bare date": with_spec("data: {startDate: 2025-01-01}"),
    "a bare instant": with_spec("data: {startDate: 2025-01-01T00:00:00Z}"),
    "a number as a key": with_spec("scheduling: {nodeSelector: {1: a}}"),
    "a merged mapping": f"{HEAD}{NAME}spec: {{machine: M, model: {{<<: {{type: gru}}}}}}\n",
    "an alias": f"{HEAD}{NAME}spec: {{machine: &name M, model: {{type: gru}}, data: {{table: *name}}}}\n",
    "an amount that is a whole number": with_spec("resources: {limits: {cpu: 2.0}}"),
}

# The error, and what the message of the trainer must contain.
WRONG: Mapping[str, tuple[str, str]] = {
    "nothing": ("", "the file is empty"),
    "a comment": ("# later\n", "the file is empty"),
    "a list": ("- a\n", "document 1 must be a mapping with apiVersion, kind, metadata and spec"),
    "a text": ("hello\n", "document 1 must be a mapping"),
    "no apiVersion": (f"kind: TrainingJob\n{NAME}{SPEC}", "apiVersion: is missing"),
    "no kind": (f"apiVersion: training.pumphealth.io/v1alpha1\n{NAME}{SPEC}", "kind: is missing"),
    "another version": (
        (HEAD + NAME + SPEC).replace("v1alpha1", "v1"),
        "apiVersion: must be training.pumphealth.io/v1alpha1, not 'training.pumphealth.io/v1'",
    ),
    "the kind in another case": (
        (HEAD + NAME + SPEC).replace("TrainingJob", "Trainingjob"),
        "kind: must be TrainingJob, not 'Trainingjob'",
    ),
    "no metadata": (HEAD + SPEC, "metadata: is missing"),
    "metadata as a list": (f"{HEAD}metadata: [example]\n{SPEC}", "metadata: must be a mapping, not a list"),
    "a field of metadata that is none": (
        with_metadata("name: example, label: {a: b}"),
        "metadata.label: there is no such field; labels is probably meant",
    ),
    "a name that is a number": (
        with_metadata("name: 415"),
        "metadata.name: must be text, not the number 415: put it in",
    ),
    "a name with a capital": (
        with_metadata("name: Example"),
        "metadata.name: must be lower case letters, digits and -",
    ),
    "a name with a dot": (with_metadata("name: pump.7"), "metadata.name: must be lower case letters, digits and -"),
    "a name with a line break": (with_metadata(r'name: "a\n"'), "metadata.name: must be lower case letters"),
    "a name of 64 characters": (
        with_metadata(f"name: {'p' * 64}"),
        "metadata.name: must have at most 63 characters, not 64",
    ),
    "a namespace that is a number": (with_metadata("name: example, namespace: 5"), "metadata.namespace: must be text"),
    "a label that is a number": (with_metadata("name: example, labels: {a: 1}"), "metadata.labels.a: must be text"),
    "a label with a blank": (
        with_metadata("name: example, labels: {a: b c}"),
        "metadata.labels.a: must be the value of a",
    ),
    "the name of a label with a blank": (
        with_metadata("name: example, labels: {a b: c}"),
        "metadata.labels: must have keys",
    ),
    "an annotation that is a number": (
        with_metadata("name: example, annotations: {a: 1}"),
        "metadata.annotations.a: must be text, not the number 1: put it in quotes",
    ),
    "the name of an annotation with a blank": (
        with_metadata("name: example, annotations: {a b: c}"),
        "metadata.annotations: must have keys",
    ),
    "no spec": (HEAD + NAME, "spec: is missing"),
    "a spec that is written but empty": (f"{HEAD}{NAME}spec:\n", "spec: is missing"),
    "a spec that is a list": (f"{HEAD}{NAME}spec: [M]\n", "spec: must be a mapping, not a list"),
    "a field beside spec that is none": (
        f"{HEAD}{NAME}{SPEC}specs: 1\n",
        "specs: there is no such field; spec is probably meant",
    ),
    "a key that comes twice": (
        with_spec("gates: [], gates: []"),
        "line 4: the key gates is already in this mapping, in line 4",
    ),
    "spec twice": (HEAD + NAME + SPEC + SPEC, "line 5: the key spec is already in this mapping, in line 4"),
    "a field in snake case": (
        with_gru("sequence_length: 5"),
        "spec.model.gru.sequence_length: there is no such field; sequenceLength is probably meant",
    ),
    "a block in snake case": (
        with_spec("run_policy: {suspend: true}"),
        "spec.run_policy: there is no such field; runPolicy is probably meant",
    ),
    "a field in another case": (
        with_gru("Epochs: 5"),
        "spec.model.gru.Epochs: there is no such field; epochs is probably meant",
    ),
    "a machine that is a number": (
        with_machine("415"),
        "spec.machine: must be text, not the number 415: put it in quotes",
    ),
    "a machine that is a number with a fraction": (
        with_machine("1.5"),
        "spec.machine: must be text, not the number 1.5",
    ),
    "a machine that is an octal number": (with_machine("007"), "spec.machine: must be text, not the number 7"),
    "a machine that is a number with zeros": (with_machine("008"), "spec.machine: must be text, not the number 8"),
    "a machine that is a hexadecimal number": (with_machine("0x1F"), "spec.machine: must be text, not the number 31"),
    "a machine that is a power of ten": (with_machine("1e3"), "spec.machine: must be text, not the number 1000"),
    "a machine that is a boolean": (with_machine("yes"), "spec.machine: must be text, not true: put it in quotes"),
    "a machine that is a boolean of one letter": (
        with_machine("N"),
        "spec.machine: must be text, not false: put it in",
    ),
    "a machine that is written but empty": (with_machine("~"), "spec.machine: is missing"),
    "a machine with a line break": (
        with_machine(r'"M\n"'),
        "spec.machine: must be at most 63 letters, digits, ., _ and -",
    ),
    "a machine with a foreign digit": (with_machine("M\u0663"), "spec.machine: must be at most 63 letters, digits"),
    "a fraction for a whole number": (with_gru("epochs: 1.5"), "epochs: must be a whole number, not the number 1.5"),
    "a text for a whole number": (
        with_gru('epochs: "100"'),
        "spec.model.gru.epochs: must be a whole number, not the text '100': write it without quotes",
    ),
    "a text for a boolean": (
        with_spec('runPolicy: {suspend: "true"}'),
        "spec.runPolicy.suspend: must be true or false, not the text 'true': write it without quotes",
    ),
    "too few epochs": (with_gru("epochs: 0"), "spec.model.gru.epochs: must be at least 1, not 0"),
    "all of it dropped": (with_gru("dropout: 1"), "spec.model.gru.dropout: must be less than 1, not 1"),
    "one layer": (with_gru("units: [64]"), "spec.model.gru.units: must have at least 2 values, not 1"),
    "a layer that is written but empty": (
        with_gru("units: [64, ~]"),
        "spec.model.gru.units[1]: must be a whole number",
    ),
    "a number that is infinite": (with_gru("dropout: .inf"), "spec.model.gru.dropout: must be a finite number"),
    "an unknown output": (
        with_gru("output: residual"),
        "spec.model.gru.output: must be Residual or Direct, not 'residual'; Residual is probably meant",
    ),
    "an amount that is a fraction": (
        with_spec("resources: {limits: {cpu: 2.5}}"),
        "spec.resources.limits.cpu: must be an amount such as 500m, 2, 1.5 or 4Gi, not the number 2.5: put it",
    ),
    "an amount below zero": (
        with_spec("resources: {limits: {cpu: -1}}"),
        "spec.resources.limits.cpu: must be an amount",
    ),
    "a bucket in capitals": (
        with_spec("artifacts: {bucket: Models}"),
        "spec.artifacts.bucket: must be lower case letters, digits, - and ., starting and ending with a letter",
    ),
    "a date with an offset": (
        with_spec('data: {startDate: "2025-01-01T00:00:00+02:00"}'),
        "not '2025-01-01T00:00:00+02:00'; in UTC that is 2024-12-31T22:00:00Z",
    ),
    "an instant without a zone": (
        with_spec('data: {startDate: "2025-01-01T00:00:00"}'),
        "not '2025-01-01T00:00:00'; if that is UTC, write 2025-01-01T00:00:00Z",
    ),
    "a date that is a number": (
        with_spec("data: {startDate: 20250101}"),
        "startDate: must be text, not the number 20250101",
    ),
    "a date before 1970": (with_spec('data: {startDate: "1969-12-31"}'), "startDate: must be a date from 1970 on"),
    "a thirteenth month": (with_spec('data: {startDate: "2025-13-01"}'), "startDate: must be a date that exists"),
    "a number as the value of a node selector": (
        with_spec("scheduling: {nodeSelector: {gpu: 1}}"),
        "spec.scheduling.nodeSelector.gpu: must be text, not the number 1: put it in quotes",
    ),
    "a gate that is written but empty": (with_spec("gates: [~]"), "spec.gates[0]: must be a mapping, and is empty"),
    "a health range of a lower case column": (
        with_gru("healthRanges: {oil_p: {min: 0, max: 1}}"),
        "healthRanges must name Oil_P, Oil_L, Recalque or Succao, not oil_p; Oil_P is probably meant",
    ),
    "an indent by a tab": (f"{HEAD}{NAME}spec:\n\tmachine: M\n", "line 5: not YAML: "),
    "a bracket that is open": (f"{HEAD}{NAME}spec: {{machine: M\n", "not YAML: "),
    "a control character": (with_machine('"M\x01"'), "line 4: the character U+0001 is not allowed"),
    "a key that is a list": (with_spec("[a]: b"), "line 4: not YAML: "),
}
