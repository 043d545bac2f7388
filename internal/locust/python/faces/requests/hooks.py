"""Hooks: functions that see each answer."""

HOOKS = ["response"]


def default_hooks():
    """No hooks."""
    return {event: [] for event in HOOKS}
