"""The user classes. HttpUser's client is in locust.clients."""

import logging
import time
import traceback

from gevent import GreenletExit

from locust._weir import legacy
from locust._weir.fibers import NOBODY
from locust._weir.http.rest import RestMixin
from locust.clients import HttpSession
from locust.exception import StopTest, StopUser

from .task import (
    LOCUST_STATE_RUNNING,
    LOCUST_STATE_STOPPING,
    LOCUST_STATE_WAITING,
    DefaultTaskSet,
    get_tasks_from_base_classes,
)
from .wait_time import constant

logger = logging.getLogger(__name__)


class UserMeta(type):
    """Collects the tasks when a class is made, and makes it concrete unless it says otherwise."""

    def __new__(mcs, classname, bases, class_dict):
        legacy.task_set(class_dict)
        class_dict["tasks"] = get_tasks_from_base_classes(bases, class_dict)
        if not class_dict.get("abstract"):
            class_dict["abstract"] = False
        return type.__new__(mcs, classname, bases, class_dict)


class User(metaclass=UserMeta):
    """One simulated user: runs tasks, waiting after each, until it is stopped.

    Subclasses with a client of their own report what it does through environment.events.request.
    """

    host = None
    min_wait = None
    max_wait = None
    wait_time = constant(0)
    wait_function = None
    tasks = []
    weight = 1
    fixed_count = 0
    abstract = True

    _weir_old = False  # whether its waits are those from before Locust 1.0
    _weir_id = NOBODY  # by which Weir knows this user

    def __init__(self, environment):
        super().__init__()
        self.environment = environment
        self._state = None
        self._greenlet = None
        self._group = None
        self._taskset_instance = None
        self._cp_last_run = time.perf_counter()
        self._cp_last_wait_time = 0

    def on_start(self):
        """Called when the user starts."""

    def on_stop(self):
        """Called when the user stops or is stopped."""

    def run(self):
        """The life of a user. Not to be overridden."""
        self._state = LOCUST_STATE_RUNNING
        self._taskset_instance = DefaultTaskSet(self)
        try:
            try:
                self.on_start()
            except Exception as error:
                logger.error("%s\n%s", error, traceback.format_exc())
                if not isinstance(error, (StopUser, StopTest)):
                    self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
                raise
            self._taskset_instance.run()
        except (GreenletExit, StopUser, StopTest):
            self.on_stop()

    def wait(self):
        """Waits as wait_time says. A user that is to stop may do so here, also in the middle of a task."""
        self._taskset_instance.wait()

    def start(self, group):
        """Runs the user in a greenlet of the group."""
        self._greenlet = group.spawn(self.run)
        self._group = group
        return self._greenlet

    def stop(self, force=False):
        """Stops the user: at once when force is true or it waits (then gives True), else after the task under way."""
        if force or self._state in (None, LOCUST_STATE_WAITING):
            if self._group is not None:
                self._group.killone(self._greenlet)
            return True
        if self._state == LOCUST_STATE_RUNNING:
            self._state = LOCUST_STATE_STOPPING
            return False
        raise Exception(f"Tried to stop User in an unexpected state: {self._state}. This should never happen.")

    @property
    def group(self):
        """The group of all users."""
        return self._group

    @property
    def greenlet(self):
        """The greenlet the user runs in."""
        return self._greenlet

    def context(self):
        """What listeners of the request event get as context for every request of this user."""
        return {}

    @classmethod
    def json(cls):
        return {
            "host": cls.host,
            "weight": cls.weight,
            "fixed_count": cls.fixed_count,
            "tasks": [each.__name__ for each in cls.tasks],
        }

    @classmethod
    def fullname(cls):
        """The class with its module, e.g. my_package.my_module.MyUser."""
        return ".".join(part for part in f"{cls.__module__}.{cls.__qualname__}".split(".") if part != "<locals>")


class HttpUser(RestMixin, User):
    """A user with an HTTP client: self.client keeps cookies and connections between requests, as a session does."""

    abstract = True
    pool_manager = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.host is None:
            raise StopTest(
                "You must specify the base host. Either in the host attribute in the User class, or on the command line"
                " using the --host option."
            )
        self.client = HttpSession(
            base_url=self.host,
            request_event=self.environment.events.request,
            user=self,
            pool_manager=self.pool_manager,
        )
        self.client.trust_env = False


class PytestUser(User):
    """Only for scripts that name it: Weir does not run pytest functions."""

    abstract = True
    functions = []
