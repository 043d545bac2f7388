"""Clients and listeners beside the core."""
