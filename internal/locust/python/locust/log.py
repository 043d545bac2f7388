"""Logging as Locust sets it up: the same lines, levels and files."""

import logging
import os
import re
import socket
from collections import deque

HOSTNAME = re.sub(r"\..*", "", socket.gethostname())

# Becomes true with the first exception that nobody handled; the exit code is 2 then, when nothing else says otherwise.
unhandled_greenlet_exception = False


class LogReader(logging.Handler):
    """Keeps the last 500 lines."""

    def __init__(self):
        super().__init__()
        self.logs = deque(maxlen=500)

    def emit(self, record):
        self.logs.append(self.format(record))


def setup_logging(loglevel, logfile=None):
    """Lines with time, host, level and logger to stderr, or to a file; tables always to stderr."""
    level = getattr(logging, loglevel.upper())
    reader = LogReader()
    reader.name = "log_reader"
    lines = logging.StreamHandler()
    if logfile:
        folder = os.path.dirname(logfile)
        if folder:
            os.makedirs(folder, exist_ok=True)
        lines = logging.FileHandler(logfile)
    tables = logging.StreamHandler()
    full = logging.Formatter(f"[%(asctime)s] {HOSTNAME}/%(levelname)s/%(name)s: %(message)s")
    for handler in (lines, reader):
        handler.setFormatter(full)
    tables.setFormatter(logging.Formatter("%(message)s"))
    for name, handlers, least in (
        (None, [lines, reader], level),
        ("locust", [lines, reader], level),
        ("locust.stats_logger", [tables, reader], logging.INFO),
    ):
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.setLevel(least)
        logger.propagate = name is None


def get_logs():
    """The lines kept by LogReader."""
    for handler in logging.getLogger("root").handlers:
        if handler.name == "log_reader":
            return list(handler.logs)
    return []


def greenlet_exception_logger(logger, level=logging.CRITICAL):
    """A function for Greenlet.link_exception that logs what the greenlet ended with."""

    def handler(greenlet):
        global unhandled_greenlet_exception
        if greenlet.exc_info[0] is SystemExit:
            logger.log(
                min(logging.INFO, level), f"sys.exit({greenlet.exc_info[1]}) called (use log level DEBUG for callstack)"
            )
            logger.log(logging.DEBUG, "Unhandled exception in greenlet: %s", greenlet, exc_info=greenlet.exc_info)
        else:
            logger.log(level, "Unhandled exception in greenlet: %s", greenlet, exc_info=greenlet.exc_info)
        unhandled_greenlet_exception = True

    return handler
