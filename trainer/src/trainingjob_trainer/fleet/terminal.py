"""Terminal output of a fleet's run: a progress bar, and a table of the machines at the end."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from trainingjob_api.fleet_run import MachineState
from trainingjob_trainer.fleet.decisions.outcome import ratio
from trainingjob_trainer.run.terminal import TerminalBar
from trainingjob_trainer.storage.ledger_rows import Counts, MachineEntry


class FleetBar(TerminalBar):
    """Shows the machines of a run by state as one line; without a terminal it shows nothing."""

    def __init__(self, console: Console) -> None:
        """Create the bar; it is shown when the context is entered."""
        super().__init__(console, "Fleet")

    def show(self, counts: Counts) -> None:
        """Update the bar."""
        detail = ", ".join(f"{counts[state]} {state}" for state in MachineState if counts.get(state))
        self.update(ratio(counts), detail)


def machine_table(entries: Sequence[MachineEntry]) -> Table:
    """The machines of a run as a table, those without a model first."""
    table = Table("machine", "state", "result", "reason", "message")
    states = list(MachineState)
    for entry in sorted(entries, key=lambda entry: -states.index(entry.state)):
        message = entry.message if entry.state in {MachineState.FAILED, MachineState.REJECTED} else ""
        table.add_row(entry.machine, entry.state, entry.summary, entry.reason, message)
    return table
