"""``python -m spherepde`` is the command ``spherepde``."""

from .cli import main

main()
