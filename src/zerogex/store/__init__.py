"""Durable memory: PostgreSQL, an embedded server when there is none, and a spool for when it is away."""
