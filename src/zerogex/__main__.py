"""`python -m zerogex` is the `zerogex` command."""

from zerogex.cli.main import main

main()
