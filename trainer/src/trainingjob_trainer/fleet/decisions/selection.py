"""Which machines a run of a fleet trains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trainingjob_api.fleet_spec import MAXIMUM_MACHINES, Machines
from trainingjob_api.reasons import Reason
from trainingjob_api.text import clean
from trainingjob_api.values import machine_name
from trainingjob_trainer.errors import TrainingError

_SHOWN_NAMES = 10
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Selection:
    """The machines of a run.

    Attributes:
        machines: Their names, sorted.
        notes: What the user must know about it, as complete sentences.
    """

    machines: Sequence[str]
    notes: Sequence[str] = ()


def select_machines(machines: Machines, found: Iterable[str], last_run: int | None, table: str) -> Selection:
    """Select the machines of a run.

    Args:
        machines: What the spec wants.
        found: Names in the telemetry table, which may be any text; not used where the spec has names.
        last_run: Number of machines of the last run; None without one.
        table: The telemetry table, for messages.

    Raises:
        TrainingError: DataUnavailable when there is no machine, or too few compared with the last run;
            InvalidConfiguration when there are too many, or every name is excluded.
    """
    if machines.matching is None:
        named = _without_excluded(machines.names, machines.exclude)
        if not named:
            raise TrainingError(
                Reason.INVALID_CONFIGURATION,
                f"machines.exclude: it leaves none of the {len(machines.names)} machines of machines.names. Correct "
                "its patterns, or remove them.",
            )
        return Selection(named)
    matching = [name for name in found if fnmatchcase(name, machines.matching)]
    wanted = _without_excluded(matching, machines.exclude)
    valid = [name for name in wanted if _is_machine_name(name)]
    notes = _refused(table, [name for name in wanted if name not in set(valid)])
    if not valid:
        notes = [
            f"machines.matching: no machine of table {table} matches {machines.matching!r} and is not excluded. Names "
            "are case-sensitive.",
            *notes,
        ]
        raise TrainingError(Reason.DATA_UNAVAILABLE, " ".join(notes))
    if len(valid) > MAXIMUM_MACHINES:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"machines.matching: {machines.matching!r} finds {len(valid)} machines in table {table}, at most "
            f"{MAXIMUM_MACHINES} are allowed. Divide them into several fleets, by matching or exclude.",
        )
    _refuse_too_few(len(valid), last_run, machines, table)
    return Selection(valid, notes)


def _without_excluded(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return sorted(name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns))


def _is_machine_name(name: str) -> bool:
    try:
        machine_name(name)
    except ValueError:
        return False
    return True


def _refused(table: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(repr(clean(name, _SHOWN_CHARACTERS)) for name in names[:_SHOWN_NAMES])
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return [
        f"Not trained, because the name in table {table} is not allowed for a machine: {shown}{more}. A name has at "
        "most 63 letters, digits, ., _ and -, starts and ends with a letter or digit, and contains neither weights "
        "nor .h5."
    ]


def _refuse_too_few(found: int, last_run: int | None, machines: Machines, table: str) -> None:
    percent = machines.min_percent_of_last_run
    if last_run is not None and found * 100 < last_run * percent:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"machines.matching: {machines.matching!r} finds {found} machines in table {table}, and the last run had "
            f"{last_run}; at least {percent} % of them are required, so nothing is trained. Check the telemetry; if "
            "the machines are really gone, lower machines.minPercentOfLastRun.",
        )
