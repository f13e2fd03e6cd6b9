"""Finds the known name that a misspelled name probably means."""

import difflib
import re
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str], likeness: float = 0.6) -> str | None:
    """The known name that is most similar to the given one, ignoring case and punctuation; None when none is similar.

    Args:
        name: The misspelled name.
        known: The valid names.
        likeness: Minimum similarity, 0 to 1; 1 requires equality except for case and punctuation.
    """
    plain = {re.sub("[^a-z0-9]", "", candidate.lower()): candidate for candidate in reversed(known)}
    (found,) = difflib.get_close_matches(re.sub("[^a-z0-9]", "", name.lower()), plain, n=1, cutoff=likeness) or (None,)
    return plain[found] if found is not None else None
