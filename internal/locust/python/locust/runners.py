"""The runner as scripts know it: what it says comes from Weir, what it is asked for is done by Weir."""

import logging
import socket
from uuid import uuid4

from gevent import GreenletExit, getcurrent
from gevent.pool import Group

from ._weir.engine import engine
from .rpc import Message

logger = logging.getLogger(__name__)

STATE_INIT, STATE_SPAWNING, STATE_RUNNING, STATE_CLEANUP, STATE_STOPPING, STATE_STOPPED, STATE_MISSING = (
    "ready",
    "spawning",
    "running",
    "cleanup",
    "stopping",
    "stopped",
    "missing",
)
WORKER_REPORT_INTERVAL = 3.0
WORKER_LOG_REPORT_INTERVAL = 10
CPU_MONITOR_INTERVAL = 10.0
CPU_WARNING_THRESHOLD = 90
HEARTBEAT_INTERVAL = 1
HEARTBEAT_LIVENESS = 3
HEARTBEAT_DEAD_INTERNAL = -60
MASTER_HEARTBEAT_TIMEOUT = 60
FALLBACK_INTERVAL = 5
CONNECT_TIMEOUT = 5
CONNECT_RETRY_COUNT = 60


class Runner:
    """The state of the test, and the requests a script may make: start, stop, quit, messages.

    How many users run is Weir's business; with several processes the counts are of all of them.
    """

    def __init__(self, environment, processes=1, worker_index=0):
        self.environment = environment
        self.user_greenlets = Group()
        self.greenlet = Group()
        self.state = STATE_INIT
        self.spawning_greenlet = None
        self.shape_greenlet = None
        self.shape_last_tick = None
        self.current_cpu_usage = 0.0
        self.current_memory_usage = 0
        self.cpu_warning_emitted = False
        self.worker_cpu_warning_emitted = False
        self.exceptions = {}
        self.target_user_count = 0
        self.target_user_classes_count = {}
        self.final_user_classes_count = {}
        self.custom_messages = {}
        self.connection_broken = False
        self.spawn_rate = 0.0
        self.worker_index = worker_index
        self.worker_count = processes
        self.client_id = f"{socket.gethostname()}_{uuid4().hex}"
        self._everywhere = None  # counts over all processes, when there are several

    @property
    def user_classes(self):
        return self.environment.user_classes

    @property
    def user_classes_by_name(self):
        return self.environment.user_classes_by_name

    @property
    def stats(self):
        """The statistics, as environment.stats."""
        return self.environment.stats

    @property
    def errors(self):
        """The failures, as stats.errors."""
        return self.stats.errors

    @property
    def user_count(self):
        """How many users run now."""
        if self._everywhere is not None:
            return sum(self._everywhere.values())
        return len(self.user_greenlets)

    @property
    def user_classes_count(self):
        """How many users of each class run now."""
        counts = {each.__name__: 0 for each in self.user_classes}
        if self._everywhere is not None:
            return {**counts, **self._everywhere}
        for greenlet in self.user_greenlets:
            if greenlet.args:
                counts[type(greenlet.args[0]).__name__] += 1
        return counts

    def take(self, news):
        """Becomes what Weir says: its event "state"."""
        self.state = news.get("state", self.state)
        self.target_user_count = news.get("target_user_count", self.target_user_count)
        self.spawn_rate = news.get("spawn_rate") or self.spawn_rate
        if self.worker_count > 1:
            self._everywhere = news.get("by_class")

    def update_state(self, new_state):
        """Sets the state a script sees. Weir's own does not change."""
        self.state = new_state

    def cpu_log_warning(self):
        """Warns at the end when the processor was too busy."""
        if self.cpu_warning_emitted:
            logger.warning(
                "CPU usage was too high at some point during the test! See"
                " https://docs.locust.io/en/stable/running-distributed.html for how to distribute the load over multiple CPU"
                " cores or machines"
            )
        return self.cpu_warning_emitted

    def start(self, user_count, spawn_rate, wait=False, user_classes=None):
        """Asks for so many users, at so many a second, of these classes or of all."""
        names = None if user_classes is None else [each.__name__ for each in user_classes]
        self.target_user_count = user_count
        engine.ask(op="start", users=user_count, rate=spawn_rate, classes=names)

    def start_shape(self):
        """Weir starts the shape itself; asked again, it only says so."""
        logger.info("There is an ongoing shape test running. Editing is disabled")

    def stop(self):
        """Asks to end the test; the process stays. Does not return to a user that asks: it is among those that end."""
        if self.state != STATE_STOPPED:
            engine.ask(op="stop")
            self._leave()

    def quit(self):
        """Asks to end the test and the process. Does not return to a user that asks."""
        engine.ask(op="quit")
        self._leave()

    def _leave(self):
        if getcurrent() in self.user_greenlets:
            raise GreenletExit()

    def spawn_users(self, user_classes_spawn_count, wait=False):
        """Refused: Weir decides which user is started when."""
        raise NotImplementedError("runner.spawn_users() is not there in Weir: use runner.start(users, spawn_rate)")

    def stop_users(self, user_classes_stop_count):
        """Refused: Weir decides which user is stopped when."""
        raise NotImplementedError("runner.stop_users() is not there in Weir: use runner.start(users, spawn_rate)")

    def log_exception(self, node_id, msg, formatted_tb):
        """Counts an exception among those that runner.exceptions holds."""
        row = self.exceptions.setdefault(
            hash(formatted_tb), {"count": 0, "msg": msg, "traceback": formatted_tb, "nodes": set()}
        )
        row["count"] += 1
        row["nodes"].add(node_id)

    def register_message(self, msg_type, listener, concurrent=False):
        """Says who is called with messages of that type. concurrent: in a greenlet of its own."""
        if msg_type in self.custom_messages:
            raise Exception(f"Tried to register listener method for {msg_type}, but it already had a listener!")
        self.custom_messages[msg_type] = (listener, concurrent)

    def send_message(self, msg_type, data=None, client_id=None):
        """Sends a message: to the listener of this process, or to all processes when there are several."""
        if self.worker_count > 1:
            engine.tell(op="message", type=msg_type, data=data, client_id=client_id)
        else:
            self.receive_message(msg_type, data, "local")

    def receive_message(self, msg_type, data, node_id):
        """Calls the listener of a message that has come."""
        if msg_type not in self.custom_messages:
            logger.warning(f"Unknown message type received: {msg_type}")
            return
        listener, concurrent = self.custom_messages[msg_type]
        message = Message(msg_type, data, node_id)
        if concurrent:
            self.greenlet.spawn(listener, environment=self.environment, msg=message)
        else:
            listener(environment=self.environment, msg=message)


class LocalRunner(Runner):
    """The runner of the first process, and of a run with one process."""


class DistributedRunner(Runner):
    """Only a base for isinstance checks."""


class MasterRunner(DistributedRunner):
    """No process of Weir is a master: only for isinstance checks."""


class WorkerRunner(DistributedRunner):
    """The runner of the second process and those after it: set-up that a script makes once is made by the first."""
