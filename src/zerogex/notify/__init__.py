"""Alerts on their way out: to a phone by ntfy, to a program by webhook."""
