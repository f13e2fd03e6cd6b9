"""Runs one case and writes what it reports: ``python -m benchmarks.case MODULE.FUNCTION ARGUMENTS ANSWER-FILE``."""

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """Runs the case in this process; its arguments and its report are JSON."""
    name, arguments, answer = sys.argv[1:]
    module, function = name.split(".")
    report = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
