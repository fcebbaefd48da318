"""``wgan`` and ``python -m wgan``: a Ctrl-C while the command line is being imported ends it without a traceback."""

import signal


def main() -> None:
    """Import the command line, and run it."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from wgan import cli

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
