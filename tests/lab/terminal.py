"""What a program finds when somebody starts it at a terminal, however the tests were started."""

import signal


def heeds_ctrl_c() -> None:
    """Undo that SIGINT is ignored, as it is in what a shell has put into the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
