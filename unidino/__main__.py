"""`python -m unidino`, and so `torchrun -m unidino`."""

from unidino.cli import main

main()
