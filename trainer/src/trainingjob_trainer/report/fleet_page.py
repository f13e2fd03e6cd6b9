"""Renders the page of a fleet: one self-contained HTML file."""

from trainingjob_trainer.report.fleet import FleetSummary
from trainingjob_trainer.report.templates import TEMPLATES


def fleet_page(summary: FleetSummary) -> bytes:
    """Render the result of a run of a fleet as a UTF-8 HTML page without any reference to another file but links."""
    return TEMPLATES.get_template("fleet.html.jinja").render(summary=summary).encode()
