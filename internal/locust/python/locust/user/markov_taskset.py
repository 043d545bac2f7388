"""Tasks of which each says what may follow it, and how likely."""

import logging
import random

from locust.exception import LocustError

from .task import TaskSet, TaskSetMeta


class NoMarkovTasksError(LocustError):
    """A MarkovTaskSet without transitions."""


class InvalidTransitionError(LocustError):
    """A transition to something that does not exist."""


class NonMarkovTaskTransitionError(LocustError):
    """A transition to something that has no transitions itself."""


class MarkovTaskTagError(LocustError):
    """Tags would cut the chain."""


def transition(func_name, weight=1):
    """Says that the task of that name may follow the decorated one."""
    return transitions({func_name: weight})


def transitions(weights):
    """Says which tasks may follow: {name: weight}, or a list of names and (name, weight) pairs."""
    if not isinstance(weights, dict):
        weights = dict(entry if isinstance(entry, tuple) else (entry, 1) for entry in weights)

    def mark(what):
        if not hasattr(what, "transitions"):
            what.transitions = {}
        what.transitions.update(weights)
        return what

    return mark


def is_markov_task(what):
    """Whether something has transitions."""
    return "transitions" in dir(what)


def check(tasks, members, classname):
    """Refuses a chain that cannot be walked; warns of tasks it never comes to."""
    if not tasks:
        raise NoMarkovTasksError(
            f"No Markov tasks defined in class {classname}. Use the @transition(s) decorators to define some."
        )
    for each in tasks:
        for name in each.transitions:
            if not members.get(name):
                raise InvalidTransitionError(
                    f"Transition to {name} from {each.__name__} is invalid since no such element exists on class"
                    f" {classname}"
                )
            if not is_markov_task(members[name]):
                raise NonMarkovTaskTransitionError(
                    f"{classname}.{name} cannot be used as a target for a transition since it does not define any"
                    f" transitions of its own.Used as a transition from {each.__name__}."
                )
    reached, open_ends = set(), [tasks[0].__name__]
    while open_ends:
        name = open_ends.pop()
        if name not in reached:
            reached.add(name)
            open_ends += [follower for follower, weight in members[name].transitions.items() if weight > 0]
    lost = {each.__name__ for each in tasks} - reached
    if lost:
        logging.warning(f"The following markov tasks are unreachable in class {classname}: {lost}")
    for each in tasks:
        if each.__name__ in ("on_stop", "on_start"):
            logging.warning(
                "You have tagged your on_stop/start function with @transition. This will make the method get called both"
                " as a step AND on stop/start."
            )
        if each.__name__ == "run":
            raise Exception(
                "TaskSet.run() is a method used internally by Locust, and you must not override it or annotate it with"
                " transitions"
            )
        if "locust_tag_set" in dir(each):
            raise MarkovTaskTagError(
                "Tags are unsupported for MarkovTaskSet since they can make the markov chain invalid. Tags detected on"
                f" {classname}.{each.__name__}: {each.locust_tag_set}"
            )


class MarkovTaskSetMeta(TaskSetMeta):
    """Checks the chain when a class is made, and finds its first task: the one declared first."""

    def __new__(mcs, classname, bases, class_dict):
        if not class_dict.get("abstract"):
            class_dict["abstract"] = False
            tasks = [member for member in class_dict.values() if is_markov_task(member)]
            check(tasks, class_dict, classname)
            class_dict["current"] = tasks[0]
            for each in tasks:
                each.transitions = [name for name, weight in each.transitions.items() for _ in range(weight)]
        return type.__new__(mcs, classname, bases, class_dict)


class MarkovTaskSet(TaskSet, metaclass=MarkovTaskSetMeta):
    """Walks a chain of tasks at random, by the weights of the transitions."""

    abstract = True

    def get_next_task(self):
        current = self.current
        self.current = getattr(self, random.choice(current.transitions))
        return current
