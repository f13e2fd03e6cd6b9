"""The known name that somebody meant who wrote another one."""

import difflib
import re
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str], likeness: float = 0.6) -> str | None:
    """The one of the known names that was probably meant: another case or spelling of it; None when none is near.

    Args:
        name: What was written.
        known: What could be meant.
        likeness: How near it must be, from 0 to 1, which is but for case and punctuation the same.
    """
    plain = {re.sub("[^a-z0-9]", "", candidate.lower()): candidate for candidate in reversed(known)}
    (found,) = difflib.get_close_matches(re.sub("[^a-z0-9]", "", name.lower()), plain, n=1, cutoff=likeness) or (None,)
    return plain[found] if found is not None else None
