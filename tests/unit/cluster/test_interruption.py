"""A command that gets a signal to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import signal, sys
from cluster.interruption import end_in_order
end_in_order()
try:
    print("runs", flush=True)
    signal.pause()
finally:
    print("ends", flush=True)
    sys.stdin.read()
    print("has put all away", flush=True)
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_interrupt_the_clean_up(by: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "runs\n"
        process.send_signal(by)
        assert process.stdout.readline() == "ends\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.stdout.read() == "has put all away\n"
    assert process.returncode == 128 + by
