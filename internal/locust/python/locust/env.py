"""The environment of a test: what scripts reach everything else through."""

from operator import methodcaller

from .event import Events
from .exception import RunnerAlreadyExistsError
from .shape import LoadTestShape
from .stats import RequestStats
from .user.task import filter_tasks_by_tags


class Environment:
    """Holds the options, classes, events, statistics and the runner of one test. Weir makes the one that counts."""

    def __init__(
        self,
        *,
        user_classes=None,
        shape_class=None,
        tags=None,
        locustfile=None,
        exclude_tags=None,
        events=None,
        host=None,
        reset_stats=False,
        stop_timeout=None,
        catch_exceptions=True,
        parsed_options=None,
        parsed_locustfiles=None,
        available_user_classes=None,
        available_shape_classes=None,
        available_user_tasks=None,
        dispatcher_class=None,
        profile=None,
    ):
        self.runner = None
        self.web_ui = None  # always: Weir's own page is not extended by scripts
        self._process_exit_code = None
        self.events = events or Events()
        self.locustfile = locustfile
        self.user_classes = user_classes or []
        self.shape_class = shape_class
        self.tags = tags
        self.exclude_tags = exclude_tags
        self.stats = RequestStats()
        self.host = host
        self.reset_stats = reset_stats
        self.profile = profile
        if stop_timeout is None:
            stop_timeout = float(getattr(parsed_options, "stop_timeout", None) or 0.0)
        self.stop_timeout = stop_timeout
        self.catch_exceptions = catch_exceptions
        self.parsed_options = parsed_options
        self.parsed_locustfiles = parsed_locustfiles
        self.available_user_classes = available_user_classes
        self.available_shape_classes = available_shape_classes
        self.available_user_tasks = available_user_tasks
        self.dispatcher_class = dispatcher_class
        self.worker_logs = {}
        self._tasks_filtered = False
        self._remove_user_classes_with_weight_zero()
        self._validate_user_class_name_uniqueness()
        if shape_class is not None and not isinstance(shape_class, LoadTestShape):
            raise ValueError(
                f"shape_class should be instance of LoadTestShape or subclass LoadTestShape, but got: {shape_class}"
            )

    @property
    def process_exit_code(self):
        """The exit code of the run, when a script has set it."""
        return self._process_exit_code

    @process_exit_code.setter
    def process_exit_code(self, code):
        from ._weir.engine import engine

        self._process_exit_code = code
        if engine.hub is not None:
            engine.tell(op="exit_code", code=code)

    def create_local_runner(self):
        """Refused: runs are Weir's."""
        raise self._not_a_library("create_local_runner")

    def create_master_runner(self, *args, **kwargs):
        """Refused: runs are Weir's."""
        raise self._not_a_library("create_master_runner")

    def create_worker_runner(self, *args, **kwargs):
        """Refused: runs are Weir's."""
        raise self._not_a_library("create_worker_runner")

    def create_web_ui(self, *args, **kwargs):
        """Refused: the page is Weir's."""
        raise self._not_a_library("create_web_ui")

    def _not_a_library(self, name):
        if self.runner is not None:
            return RunnerAlreadyExistsError(f"Environment.runner already exists ({self.runner})")
        return NotImplementedError(
            f"Environment.{name}() uses Locust as a library. Weir runs the test itself: put the User classes into a file and"
            " start it with `weir run FILE`."
        )

    def update_user_class(self, user_settings):
        """Sets attributes of a user class, as --config-users does."""
        name = user_settings.get("user_class_name")
        user_class = self.available_user_classes[name]
        for key, value in user_settings.items():
            if key == "tasks":
                user_class.tasks = [each for each in self.available_user_tasks[name] if each.__name__ in value]
            elif key != "user_class_name":
                setattr(user_class, key, value)

    def assign_equal_weights(self):
        """Every class the weight 1, every task of it the same chance."""
        for user_class in self.user_classes:
            user_class.weight = 1
            flat, open_ends = [], list(user_class.tasks)
            while open_ends:
                each = open_ends.pop()
                if hasattr(each, "tasks"):
                    open_ends += each.tasks
                elif callable(each):
                    if each not in flat:
                        flat.append(each)
                else:
                    raise ValueError("Unrecognized task type in user")
            user_class.tasks = flat

    def _filter_tasks_by_tags(self):
        if self._tasks_filtered:
            return
        self._tasks_filtered = True
        chosen = []
        for own, option in ((self.tags, "tags"), (self.exclude_tags, "exclude_tags")):
            names = own if own is not None else getattr(self.parsed_options, option, None) or None
            chosen.append(None if names is None else set(names))
        for user_class in self.user_classes:
            filter_tasks_by_tags(user_class, *chosen)

    def _remove_user_classes_with_weight_zero(self):
        if not self.user_classes:
            return
        kept = [each for each in self.user_classes if each.weight > 0 or each.fixed_count > 0]
        if not kept:
            raise ValueError("There are no users with weight > 0.")
        self.user_classes[:] = kept

    def _validate_user_class_name_uniqueness(self):
        if len(self.user_classes_by_name) != len(self.user_classes):
            raise ValueError(
                "The following user classes have the same class name: "
                + ", ".join(map(methodcaller("fullname"), self.user_classes))
            )

    @property
    def user_classes_by_name(self):
        """The user classes of the run by their names."""
        return {each.__name__: each for each in self.user_classes}
