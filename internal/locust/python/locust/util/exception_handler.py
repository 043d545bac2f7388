"""Trying again."""

import functools
import logging
import time

logger = logging.getLogger(__name__)


def retry(delays=(1, 3, 5), exception=Exception):
    """Calls a function again after each of the delays, in seconds, while it raises exception."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for count, delay in enumerate(delays, 1):
                try:
                    return function(*args, **kwargs)
                except exception as error:
                    logger.info("Exception found on retry %d: -- retry after %ds" % (count, delay))
                    logger.exception(error)
                    time.sleep(delay)
            return function(*args, **kwargs)

        return wrapper

    return decorate
