"""Names from before Locust 1.0, which old scripts still use: they work as they did, and a notice says the new name once."""

import random

from .engine import engine
from .report import caller

EVENTS = {
    "request_success": "request",
    "request_failure": "request",
    "locust_error": "user_error",
    "locust_start_hatching": "test_start",
    "locust_stop_hatching": "test_stop",
    "hatch_complete": "spawning_complete",
    "master_start_hatching": "test_start",
    "master_stop_hatching": "test_stop",
    "slave_report": "worker_report",
}


def say(old, new):
    """The notice, with the place of the script."""
    file, line = caller(3)
    if engine.hub is not None:
        engine.notice(f"{old} is from before Locust 1.0; it works here, the name today is {new}", file, line)


def name(wanted):
    """A pre-1.0 name of the package, None when it is none."""
    if wanted in ("Locust", "HttpLocust", "FastHttpLocust"):
        import locust

        bases = {"Locust": locust.User, "HttpLocust": locust.HttpUser, "FastHttpLocust": locust.FastHttpUser}
        say(wanted, bases[wanted].__name__)
        return old_class(wanted, bases[wanted])
    if wanted in ("TaskSequence", "seq_task"):
        say(wanted, "SequentialTaskSet")
        return TaskSequence() if wanted == "TaskSequence" else seq_task
    return None


def old_class(name_of_it, base):
    """User with the waits of old, one second when none is set, and the weight of old."""
    members = {
        "abstract": True,
        "min_wait": 1000,
        "max_wait": 1000,
        "weight": 10,
        "_weir_old": True,
        "__module__": "locust",
    }
    return type(base)(name_of_it, (base,), members)


def wait(tasks):
    """The wait of old: min_wait, max_wait or wait_function in milliseconds, the set's own before the user's."""
    own = type(tasks).__dict__
    if "wait_time" in tasks.user.__class__.__dict__:
        return tasks.user.wait_time()
    if tasks.wait_function is not None and not ("min_wait" in own and "wait_function" not in own):
        return tasks.wait_function() / 1000.0
    return random.randint(int(tasks.min_wait), int(tasks.max_wait)) / 1000.0


def task_set(class_dict):
    """Makes the old attribute task_set the tasks of a class."""
    found = class_dict.get("task_set")
    if found is not None and not isinstance(found, type):
        raise TypeError("the attribute task_set of a User must be a TaskSet class; a list of tasks is called tasks")
    if found is not None and "tasks" not in class_dict:
        from locust.user.task import TaskSet

        if not issubclass(found, TaskSet):
            return  # a user class, say: it never held tasks, and Locust says that there are none
        say("task_set", "tasks = [...]")
        class_dict["tasks"] = [found]


def seq_task(order):
    """@seq_task(n): the n-th task of a TaskSequence."""

    def mark(function):
        function.locust_task_order = order
        if not hasattr(function, "locust_task_weight"):
            function.locust_task_weight = 1
        return function

    return mark


def TaskSequence():
    """The old class of tasks in order, made when it is asked for: a SequentialTaskSet sorted by @seq_task."""
    from locust.user.sequential_taskset import SequentialTaskSet, SequentialTaskSetMeta

    class Meta(SequentialTaskSetMeta):
        def __new__(mcs, classname, bases, class_dict):
            made = SequentialTaskSetMeta.__new__(mcs, classname, bases, class_dict)
            made.tasks = sorted(made.tasks, key=lambda each: getattr(each, "locust_task_order", 0))
            return made

    return Meta("TaskSequence", (SequentialTaskSet,), {})


def event(events, wanted):
    """A pre-1.0 event: its listeners are called by today's."""
    if wanted not in EVENTS:
        raise AttributeError(f"'Events' object has no attribute '{wanted}': docs/locust.md lists the events there are")
    from locust.event import EventHook, sample

    class Old(EventHook):
        def fire(self, *, reverse=False, **arguments):
            if wanted.startswith("request_"):
                sample(arguments)
            super().fire(reverse=reverse, **arguments)

        def pass_on(self, **arguments):
            if wanted.startswith("request_"):
                failed = arguments.get("exception")
                if bool(failed) != (wanted == "request_failure"):
                    return
                keep = ["request_type", "name", "response_time", "response_length"] + ["exception"] * bool(failed)
                arguments = {key: arguments.get(key) for key in keep}
            elif wanted == "locust_error":
                arguments["locust_instance"] = arguments.pop("user_instance", None)
            elif wanted.endswith("hatching"):
                arguments = {}
            super().fire(**arguments)

    say(f"events.{wanted}", f"events.{EVENTS[wanted]}")
    hook = Old()
    setattr(events, wanted, hook)
    getattr(events, EVENTS[wanted]).add_listener(hook.pass_on)
    return hook
