"""``python -m wgan`` is ``wgan``."""

from wgan.cli import main

main()
