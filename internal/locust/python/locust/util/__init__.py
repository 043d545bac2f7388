"""Helpers that scripts import now and then."""
