"""`unidino`, `python -m unidino`, and so `torchrun -m unidino`."""

import os
import signal
from types import FrameType


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun yet."""
    os.write(2, b"stopped\n")
    os._exit(130)


def run() -> None:
    """Run the command line; Ctrl C ends it with a line, also while packages are loaded."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    from unidino.cli import main

    try:
        main()
    finally:  # all is done or said: a Ctrl C would only spoil the exit status
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    run()
