"""Load that a script shapes: how many users, asked for once a second."""

import time
from abc import ABCMeta, abstractmethod


class LoadTestShapeMeta(ABCMeta):
    """Makes subclasses concrete unless they say otherwise."""

    def __new__(mcs, classname, bases, class_dict):
        class_dict["abstract"] = class_dict.get("abstract", False)
        return super().__new__(mcs, classname, bases, class_dict)


class LoadTestShape(metaclass=LoadTestShapeMeta):
    """Subclasses say in tick what the load shall be now."""

    runner = None
    abstract = True
    use_common_options = False

    def __init__(self):
        self.start_time = time.perf_counter()

    def reset_time(self):
        """Begins anew to count the run time."""
        self.start_time = time.perf_counter()

    def get_run_time(self):
        """Seconds since the test began."""
        return time.perf_counter() - self.start_time

    def get_current_user_count(self):
        """How many users run now."""
        return self.runner.user_count

    @abstractmethod
    def tick(self):
        """(users, spawn rate) or (users, spawn rate, [user classes]); None ends the test."""
