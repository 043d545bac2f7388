"""Rounding as people expect it: 0.5 up."""


def proper_round(val, digits=0):
    """val with so many digits after the point."""
    value = float(val)
    return round(value + 10 ** (-len(str(value)) - 1), digits)
