"""Data in: vendors and files."""
