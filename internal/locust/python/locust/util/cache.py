"""Results kept for a while."""

import functools
from time import time


def memoize(timeout, dynamic_timeout=False):
    """Keeps what a function returned for timeout seconds; dynamic_timeout: twice as long each time it takes longer."""

    def decorate(function):
        kept = {}
        patience = timeout

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            nonlocal patience
            begin = time()
            if "time" not in kept or begin - kept["time"] > patience:
                kept["result"] = function(*args, **kwargs)
                kept["time"] = time()
                if dynamic_timeout and kept["time"] - begin > patience:
                    patience *= 2
            return kept["result"]

        wrapper.clear_cache = kept.clear
        return wrapper

    return decorate
