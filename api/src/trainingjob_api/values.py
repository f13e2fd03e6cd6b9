"""Types of the values in a TrainingJob's spec: names, moments, ranges, labels and their bounds."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

HEALTH_INDICATORS = ("Oil_P", "Oil_L", "Recalque", "Succao")
"""The four sensors of the health score."""

KEY_COLUMNS = ("id", "timestamp", "motor_pump")
"""Columns that identify a row. They cannot be features or targets of a rename, and cannot have limits."""

ModelType = Literal["gru", "xgb"]
AcceleratorPolicy = Literal["Required", "Preferred", "Disabled"]

DEFAULT_ACCELERATOR_POLICIES: Mapping[ModelType, AcceleratorPolicy] = {"gru": "Preferred", "xgb": "Disabled"}
"""The accelerator policy by model type when the spec has none; the operator's configuration can override it."""

MAXIMUM_SEARCH_SETTINGS = 512
"""Maximum number of settings in one search of an xgb model."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MACHINE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
CRON = r"^(([*]|[0-9A-Za-z#]+(-[0-9A-Za-z]+)?)(/[1-9][0-9]?)?([, ]|$))+$"
TIME_ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
GLOB = r"^[A-Za-z0-9._*?-]+$"
BUCKET = r"^[a-z0-9]+((\.|-+)[a-z0-9]+)*$"
TABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$"
SOURCE_COLUMN = r"^[A-Za-z_][A-Za-z0-9_ .-]{0,62}$"
MOMENT = r"^(19[7-9][0-9]|20[0-9]{2})-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$"
RESOURCE_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
COLUMN = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
QUEUE_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"

PATTERN_RULES: Mapping[str, str] = {
    DNS_LABEL: "lower case letters, digits and -, starting and ending with a letter or digit",
    DNS_SUBDOMAIN: "lower case letters, digits, - and ., starting and ending with a letter or digit",
    MACHINE: "at most 63 letters, digits, ., _ and -, starting and ending with a letter or digit",
    GLOB: "letters, digits, ., _ and -, where * stands for any characters and ? for one",
    CRON: "five fields of cron with one blank between them, such as 30 2 * * 1",
    TIME_ZONE: "the name of an IANA time zone, such as America/Sao_Paulo",
    BUCKET: "lower case letters, digits, - and ., starting and ending with a letter or digit",
    TABLE: "the name of a table, TABLE or SCHEMA.TABLE, of letters, digits and _, not starting with a digit",
    COLUMN: "the name of a column, of letters, digits and _, not starting with a digit",
    SOURCE_COLUMN: "the name of a column, of letters, digits, _, -, . and blanks, starting with a letter or _",
    MOMENT: "a date from 1970 on, YYYY-MM-DD, or an instant in UTC, YYYY-MM-DDTHH:MM:SSZ",
    RESOURCE_NAME: "the name of a resource with its domain, such as nvidia.com/gpu",
    LABEL_KEY: "the name of a label: letters, digits, -, _ and ., with an optional prefix DOMAIN/",
    LABEL_VALUE: "the value of a label: letters, digits, -, _ and ., starting and ending with a letter or digit",
    QUEUE_NAME: "letters, digits, -, _ and ., starting and ending with a letter or digit",
    QUANTITY: "an amount such as 500m, 2, 1.5 or 4Gi",
}
"""A description of each pattern, for error messages."""


def parse_moment(text: str) -> datetime:
    """Parse a date (as the start of that day) or an instant of the API.

    Raises:
        ValueError: The date does not exist, for example 2025-02-30.
    """
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"must be a date that exists, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not {text}") from error


def is_date(moment: str) -> bool:
    """Whether a moment of the API is a date, which means the whole day, and not an instant."""
    return len(moment) == len("2025-01-01")


Item = TypeVar("Item")
ByColumn = TypeVar("ByColumn", bound=Mapping[str, object])


def _real_date(text: str) -> str:
    parse_moment(text)
    return text


def distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """Refuse repeated values."""
    if len(set(values)) != len(values):
        raise ValueError("must not repeat a value")
    return values


def telemetry_columns(by_column: ByColumn) -> ByColumn:
    """Refuse keys that are not valid names of telemetry columns."""
    for name in by_column:
        if name in KEY_COLUMNS or not re.fullmatch(COLUMN, name):
            raise ValueError(f"must name columns by letters, digits and _, and none of {KEY_COLUMNS}; not {name!r}")
    return by_column


def usable_in_object_names(machine: str) -> str:
    """Refuse a machine name that breaks the way in which readers derive object names from each other."""
    for replaced in ("weights", ".h5"):
        if replaced in machine:
            raise ValueError(f"must not contain {replaced!r}, which readers of the model replace in object names")
    return machine


def machine_name(text: str) -> str:
    """Refuse text that is not a valid ``spec.machine``."""
    if not re.fullmatch(MACHINE, text):
        raise ValueError(f"must be {PATTERN_RULES[MACHINE]}")
    return usable_in_object_names(text)


def label_names(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse keys that are not valid label names."""
    for name in labels:
        if len(name) > 317 or not re.fullmatch(LABEL_KEY, name):
            raise ValueError(f"must have label names as keys, not {name!r}")
    return labels


Name = Annotated[str, Field(pattern=DNS_SUBDOMAIN, min_length=1, max_length=253)]
Moment = Annotated[
    str,
    Field(pattern=MOMENT, min_length=10, max_length=20),
    AfterValidator(_real_date),
]
Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
Labels = Annotated[
    Mapping[str, Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]],
    Field(max_length=32),
    AfterValidator(label_names),
]
Quantity = Annotated[
    Annotated[str, Field(pattern=QUANTITY, max_length=32)] | Annotated[int, Field(ge=0, le=10**15)],
    Field(union_mode="left_to_right"),
]


def amount(quantity: str | int) -> Decimal:
    """The value of a quantity such as 500m or 4Gi, in units."""
    parts = re.fullmatch(QUANTITY, str(quantity))
    if parts is None:
        raise ValueError(f"{quantity!r} is not {PATTERN_RULES[QUANTITY]}")
    unit = parts[2] or ""
    return Decimal(parts[0].removesuffix(unit)) * _UNITS[unit]


_UNITS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)} | {
    f"{prefix}{binary}": Decimal(1024 if binary else 1000) ** power
    for power, prefix in enumerate("KMGTP", start=1)
    for binary in ("i", "")
}


class Part(BaseModel):
    """Base of every part of the API: frozen, no unknown fields, camelCase aliases, no coercion of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    def as_json(self) -> dict[str, Any]:
        """The fields that were set, by API name, as the API server stores them."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


Bound = Annotated[float, Field(ge=-1e12, le=1e12)]


class Range(Part):
    """The sensor values that map to 0 and 1 in the health score."""

    min: Bound
    max: Bound

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        return self


class Limits(Part):
    """The plausible values of a sensor; either end may be unbounded."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("min or max must be set")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be below max")
        return self


Choices = Annotated[tuple[Item, ...], Field(strict=False, min_length=1, max_length=16), AfterValidator(distinct)]
