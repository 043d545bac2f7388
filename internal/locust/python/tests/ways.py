"""What the tests of this folder share: the package's folder on sys.path, and the ways that this Python can hold users in."""

import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(HERE)

# WEIR_TEST_WAYS leaves some out: starting an interpreter takes most of a test's time.
WAYS = [
    way
    for way in os.environ.get("WEIR_TEST_WAYS", "baton,greenlet,gevent").split(",")
    if way == "baton" or importlib.util.find_spec(way) is not None
]


def inside():
    """Makes the package importable in this process, with the stand-in for gevent."""
    for path in (PACKAGE, os.path.join(PACKAGE, "faces")):
        if path not in sys.path:
            sys.path.insert(0, path)
