"""Times as text."""

from datetime import datetime, timezone


def format_utc_timestamp(unix_timestamp):
    """2026-11-22T03:04:05Z"""
    return datetime.fromtimestamp(int(unix_timestamp), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_safe_timestamp(unix_timestamp):
    """2026-11-22-03h04, fit for file names."""
    return datetime.fromtimestamp(int(unix_timestamp)).strftime("%Y-%m-%d-%Hh%M")


def format_duration(start_time, end_time):
    """1 hour, 2 minutes and 3 seconds"""
    rest = int(end_time - start_time)
    parts = []
    for size, label in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {label}{'s' if count != 1 else ''}")
    if not parts:
        return "0 seconds"
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
