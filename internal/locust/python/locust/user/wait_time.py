"""How long a user waits after a task: functions that make functions of the user."""

import random
from time import perf_counter


def between(min_wait, max_wait):
    """A random time between the two, in seconds."""
    return lambda instance: min_wait + random.random() * (max_wait - min_wait)


def constant(wait_time):
    """Always the same time, in seconds."""
    return lambda instance: wait_time


def constant_pacing(wait_time):
    """What is left of wait_time seconds after the task's own time: tasks begin so far apart, at least."""

    def rest(self):
        now = perf_counter()
        ran = now - self._cp_last_run - self._cp_last_wait_time
        self._cp_last_wait_time = max(0, wait_time - ran)
        self._cp_last_run = now
        return self._cp_last_wait_time

    return rest


def constant_throughput(task_runs_per_second):
    """constant_pacing, said as tasks per second."""
    if task_runs_per_second <= 0:
        raise ValueError(f"constant_throughput() requires a positive rate, got: {task_runs_per_second}")
    return constant_pacing(1 / task_runs_per_second)


def poisson(rate):
    """Random times with mean 1/rate, so that tasks come as a Poisson process."""
    if rate <= 0:
        raise ValueError(f"poisson() requires a positive rate, got: {rate}")
    return lambda instance: random.expovariate(rate)
