"""The operator's environment variables."""

import pytest

from trainingjob_operator.config import Configuration, ConfigurationError


def test_only_the_image_is_required() -> None:
    configuration = Configuration.read({"TRAINER_IMAGE_CPU": "trainer:cpu", "WATCH_NAMESPACES": ""})
    assert (configuration.policy("gru"), configuration.policy("xgb")) == ("Preferred", "Disabled")
    assert configuration.namespaces == ()
    assert configuration.resources["limits"] == {"memory": "4Gi"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRAINER_IMAGE_CPU", ""),
        ("TRAINER_IMAGES_ACCELERATOR", "nvidia.com/gpu=x"),
        ("TRAINER_IMAGES_ACCELERATOR", '{"nvidia.com/gpu": 1}'),
        ("TRAINER_POD_LABELS", "[]"),
        ("TRAINER_RESOURCES", '{"cpu": "1"}'),
        ("TRAINER_RESOURCES", '{"limits": {"cpu": "1x"}}'),
        ("TRAINER_CACHE_VOLUME", '{"hostPath": "/var/cache"}'),
        ("ACCELERATOR_POLICY_GRU", "Sometimes"),
        ("START_TIMEOUT_SECONDS", "0"),
        ("CONCURRENCY", "1.5"),
        ("METRICS_PORT", "65536"),
        ("WATCH_NAMESPACES", "pumps,team-*"),
        ("WATCH_NAMESPACES", "!pumps"),
    ],
)
def test_the_message_names_every_variable_with_an_error(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as caught:
        Configuration.read({"TRAINER_IMAGE_CPU": "trainer:cpu", "PROGRESS_INTERVAL_SECONDS": "x", variable: value})
    assert "PROGRESS_INTERVAL_SECONDS" in str(caught.value)


def test_the_table_names_every_variable_once() -> None:
    variables = [variable for variable, _, _ in Configuration.table()]
    assert len(variables) == len(set(variables)) == 20
