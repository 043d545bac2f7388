"""Tasks and the sets they come in."""

import logging
import random
import traceback
from collections import deque
from time import perf_counter, time

from gevent import GreenletExit

from locust._weir import legacy
from locust._weir.engine import engine
from locust.exception import (
    InterruptTaskSet,
    MissingWaitTimeError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

logger = logging.getLogger(__name__)

LOCUST_STATE_RUNNING, LOCUST_STATE_WAITING, LOCUST_STATE_STOPPING = "running", "waiting", "stopping"

ENDING = (StopUser, StopTest, GreenletExit)


def task(weight=1):
    """Marks a method, or a nested TaskSet, as a task: @task, or @task(weight)."""

    def mark(what):
        if what.__name__ in ("on_stop", "on_start"):
            logging.warning(
                "You have tagged your on_stop/start function with @task. This will make the method get called both as a"
                " task AND on stop/start."
            )
        if what.__name__ == "run":
            raise Exception(
                "User.run() is a method used internally by Locust, and you must not override it or register it as a task"
            )
        what.locust_task_weight = weight
        return what

    if callable(weight):
        what, weight = weight, 1
        return mark(what)
    return mark


def tag(*tags):
    """Gives a task, or all tasks of a TaskSet, names by which --tags and --exclude-tags choose."""
    if not tags or callable(tags[0]):
        raise ValueError("No tag name was supplied")

    def mark(what):
        if hasattr(what, "tasks"):
            what.tasks = [mark(inner) for inner in what.tasks]
        else:
            if "locust_tag_set" not in what.__dict__:
                what.locust_tag_set = set()
            what.locust_tag_set |= set(tags)
        return what

    return mark


def get_tasks_from_base_classes(bases, class_dict):
    """The tasks of a class: those of its bases, its `tasks`, its marked members; each as often as its weight."""
    found = []
    for base in bases:
        found += getattr(base, "tasks", None) or []
    own = class_dict.get("tasks")
    if own is not None:
        for entry in own.items() if isinstance(own, dict) else own:
            if isinstance(entry, tuple):
                found += [entry[0]] * entry[1]
            else:
                found.append(entry)
    for member in class_dict.values():
        if "locust_task_weight" in dir(member):
            found += [member] * member.locust_task_weight
    return found


def is_markov_taskset(what):
    """Whether a class is a MarkovTaskSet, whose chain tags do not cut."""
    return type(what).__name__ == "MarkovTaskSetMeta"


def filter_tasks_by_tags(holder, tags=None, exclude_tags=None, checked=None):
    """Takes out the tasks, nested ones too, that the tags leave out."""
    checked = {} if checked is None else checked
    kept = []
    for each in holder.tasks:
        if each not in checked:
            if hasattr(each, "tasks"):
                filter_tasks_by_tags(each, tags, exclude_tags, checked)
                checked[each] = bool(each.tasks) or is_markov_taskset(each)
            else:
                has = getattr(each, "locust_tag_set", set())
                checked[each] = (tags is None or bool(has & tags)) and not (exclude_tags and has & exclude_tags)
        if checked[each]:
            kept.append(each)
    holder.tasks = kept
    if not kept and not is_markov_taskset(holder):
        logging.warning(f"{holder.__name__} had no tasks left after filtering, instantiating it will fail!")


class TaskSetMeta(type):
    """Collects the tasks when a class is made."""

    def __new__(mcs, classname, bases, class_dict):
        class_dict["tasks"] = get_tasks_from_base_classes(bases, class_dict)
        return type.__new__(mcs, classname, bases, class_dict)


class TaskSet(metaclass=TaskSetMeta):
    """Tasks of which one after the other is picked at random, by weight, with a wait after each."""

    tasks = []
    min_wait = None
    max_wait = None
    wait_function = None

    def __init__(self, parent):
        self._task_queue = deque()
        self._time_start = time()
        self._parent = parent
        self._user = parent.user if isinstance(parent, TaskSet) else parent
        self.min_wait = self.min_wait or self._user.min_wait
        self.max_wait = self.max_wait or self._user.max_wait
        self.wait_function = self.wait_function or self._user.wait_function
        self._cp_last_run = perf_counter()
        self._cp_last_wait_time = 0

    @property
    def user(self):
        """The user whose tasks these are."""
        return self._user

    @property
    def parent(self):
        """The TaskSet around this one, or the user."""
        return self._parent

    @property
    def client(self):
        """The user's client."""
        return self.user.client

    @property
    def locust(self):
        """The user, by its name from before Locust 1.0."""
        return self.user

    def on_start(self):
        """Called when a user begins with this set."""

    def on_stop(self):
        """Called when a user leaves this set, also when it is stopped."""

    def run(self):
        """Runs tasks until something ends it. Not to be overridden."""
        try:
            self.on_start()
        except InterruptTaskSet as interrupt:
            raise self._leave(interrupt).with_traceback(interrupt.__traceback__) from None
        while True:
            try:
                if not self._task_queue:
                    self.schedule_task(self.get_next_task())
                try:
                    if self._user._state == LOCUST_STATE_STOPPING:
                        raise StopUser()
                    self.execute_next_task()
                except RescheduleTaskImmediately:
                    continue
                except RescheduleTask:
                    pass
                self.wait()
            except InterruptTaskSet as interrupt:
                self._stop_quietly(ENDING)
                raise self._leave(interrupt) from interrupt
            except ENDING:
                self._stop_quietly(())
                raise
            except Exception as error:
                environment = self._user.environment
                environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
                if not environment.catch_exceptions:
                    raise
                logger.error("%s\n%s", error, traceback.format_exc())
                self.wait()

    @staticmethod
    def _leave(interrupt):
        kind = RescheduleTaskImmediately if interrupt.reschedule else RescheduleTask
        return kind(interrupt.reschedule)

    def _stop_quietly(self, passing):
        try:
            self.on_stop()
        except passing:
            raise
        except Exception:
            logging.error("Uncaught exception in on_stop: \n%s", traceback.format_exc())

    def execute_next_task(self):
        self.execute_task(self._task_queue.popleft())

    def execute_task(self, task):
        """Runs one task: a bound method, a nested set, or a function of this set."""
        if getattr(task, "__self__", None) is self:
            task()
        elif hasattr(task, "tasks") and issubclass(task, TaskSet):
            task(self).run()
        else:
            task(self)

    def schedule_task(self, task_callable, first=False):
        """Puts a task into the queue; first: before those that are in it."""
        if first:
            self._task_queue.appendleft(task_callable)
        else:
            self._task_queue.append(task_callable)

    def get_next_task(self):
        """The task to run next."""
        if not self.tasks:
            hint = (
                ", but you have set a 'task' attribute - maybe you meant to set 'tasks'?"
                if getattr(self, "task", None)
                else "."
            )
            raise Exception(
                f"No tasks defined on {type(self).__name__}{hint} use the @task decorator or set the 'tasks' attribute of"
                " the TaskSet"
            )
        return random.choice(self.tasks)

    def wait_time(self):
        """Seconds to wait after a task: the user's, unless this set has its own."""
        if self.user._weir_old:
            return legacy.wait(self)
        if self.user.wait_time:
            return self.user.wait_time()
        if self.min_wait is not None and self.max_wait is not None:
            return random.randint(self.min_wait, self.max_wait) / 1000.0
        raise MissingWaitTimeError(
            f"You must define a wait_time method on either the {type(self.user).__name__} or {type(self).__name__} class"
        )

    def wait(self):
        """Waits as wait_time says. A user that is to stop does so here."""
        user = self._user
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser()
        user._state = LOCUST_STATE_WAITING
        self._sleep(self.wait_time())
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser()
        user._state = LOCUST_STATE_RUNNING

    def _sleep(self, seconds):
        engine.sleep(seconds)

    def interrupt(self, reschedule=True):
        """Leaves this set; the one around it goes on, at once when reschedule is true."""
        raise InterruptTaskSet(reschedule)


class DefaultTaskSet(TaskSet):
    """The tasks that stand in the user's class itself: each is called with the user."""

    def get_next_task(self):
        if not self.user.tasks:
            hint = (
                ", but you have set a 'task' attribute on your class - maybe you meant to set 'tasks'?"
                if getattr(self.user, "task", None)
                else "."
            )
            raise Exception(
                f"No tasks defined on {type(self.user).__name__}{hint} Use the @task decorator or set the 'tasks' attribute"
                " of the User (or mark it as abstract = True if you only intend to subclass it)"
            )
        return random.choice(self.user.tasks)

    def execute_task(self, task):
        if hasattr(task, "tasks") and issubclass(task, TaskSet):
            task(self.user).run()
        else:
            task(self.user)
