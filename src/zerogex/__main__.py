"""`python -m zerogex` is the `zerogex` command."""

from zerogex.cli import main

main()
