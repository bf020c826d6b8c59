"""Pure questions to a chain."""
