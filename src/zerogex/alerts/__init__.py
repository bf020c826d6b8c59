"""Alerts as pure questions: what a rule says, and whether it was crossed."""
