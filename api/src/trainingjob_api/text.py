"""Text formats of the API: RFC 3339 instants, and text of limited length."""

from datetime import UTC, datetime


def instant(text: str | None) -> datetime | None:
    """Parse an RFC 3339 string of the API; None for empty text or None."""
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))


def timestamp(moment: datetime) -> str:
    """Format an instant as RFC 3339 in UTC with whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clean(text: str, length: int) -> str:
    """Replace surrogates, which some JSON parsers refuse, and cut the text to ``length`` characters."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= length else text[: length - 1] + "…"
