"""Tasks in the order in which they are written."""

from itertools import cycle

from locust.exception import LocustError

from .task import TaskSet, TaskSetMeta


class SequentialTaskSetMeta(TaskSetMeta):
    """Collects the tasks in the order of their declaration, an attribute `tasks` at its place."""

    def __new__(mcs, classname, bases, class_dict):
        found = []
        for base in bases:
            found += getattr(base, "tasks", None) or []
        for key, value in class_dict.items():
            if key == "tasks":
                if isinstance(value, list):
                    found += value
                elif isinstance(value, dict):
                    for each, count in value.items():
                        found += [each] * count
                else:
                    raise ValueError("The 'tasks' attribute can only be set to list or dict")
            if "locust_task_weight" in dir(value):
                found += [value] * value.locust_task_weight
        class_dict["tasks"] = found
        return type.__new__(mcs, classname, bases, class_dict)


class SequentialTaskSet(TaskSet, metaclass=SequentialTaskSetMeta):
    """Runs its tasks one after the other, round and round."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._task_cycle = cycle(self.tasks)

    def get_next_task(self):
        if not self.tasks:
            raise LocustError(
                "No tasks defined. Use the @task decorator or set the 'tasks' attribute of the SequentialTaskSet"
            )
        return next(self._task_cycle)
