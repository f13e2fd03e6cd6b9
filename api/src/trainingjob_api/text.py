"""Text of the API: instants as RFC 3339, and text of bounded length."""

from datetime import UTC, datetime


def instant(text: str | None) -> datetime | None:
    """The instant that an RFC 3339 string of the API names, or None for none."""
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))


def timestamp(moment: datetime) -> str:
    """The RFC 3339 form of the API, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clean(text: str, length: int) -> str:
    """Text that any JSON parser gives back unchanged, cut to ``length`` characters."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= length else text[: length - 1] + "…"
