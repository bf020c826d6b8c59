"""Durable memory: PostgreSQL."""
