"""Entry point of the command ``trainingjob-trainer``."""

import gc

from trainingjob_trainer.cli import app


def main() -> None:
    """Run the command line."""
    # The libraries create a million objects that stay. With the default thresholds, a fifth of the time of their
    # import is spent on searching these objects for cycles.
    gc.set_threshold(100_000, 50, 100)
    try:
        app()
    finally:
        # At its end, the interpreter would search all objects again, which takes a second.
        gc.freeze()


if __name__ == "__main__":
    main()
