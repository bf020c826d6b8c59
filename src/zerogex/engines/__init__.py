"""Runners with a life of their own."""
