"""Entry point of the command ``trainingjob-trainer``."""

from trainingjob_trainer.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
