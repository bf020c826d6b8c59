"""Values, frozen, without input or output: what the rest of the program talks about."""
