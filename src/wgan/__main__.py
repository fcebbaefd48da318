"""``wgan`` and ``python -m wgan``: a Ctrl-C while the command line is being imported ends it without a traceback."""

import signal
import threading


def main() -> None:
    """Import the command line, and run it."""
    here = threading.current_thread() is threading.main_thread()
    heeded = here and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from wgan import cli
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
