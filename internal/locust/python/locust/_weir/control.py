"""What Weir asks of the interpreter: load, events, users to start and to stop."""

import json
import logging
import traceback
from collections import deque

from .engine import engine
from .fibers import LATE, NOBODY
from .report import origin, problem

BESIDE = ("tick", "log", "state", "message", "ratios")  # events that do not wait for those before them


class Control:
    """Takes the frames that Weir sends by itself. serve runs on the main thread, where signal handlers may be set."""

    def __init__(self, setup):
        self.setup = setup  # what answers L; it gives the Session
        self.session = None
        self.queue = deque()
        self.server = None
        self.over = False

    def take(self, kind, number, payload):
        """Called by the loop: never waits, never runs user code."""
        if kind == b"U":
            self.session.crew.start(payload)
        elif kind == b"X":
            engine.spawn(self.session.crew.stop, payload, user=NOBODY)
        elif kind == b"K":
            engine.spawn(self.session.crew.kill, payload, user=NOBODY)
        else:
            question = json.loads(payload)
            if kind == b"N" and question.get("event") in BESIDE:
                engine.spawn(self._answer, kind, number, question, user=NOBODY)
            else:
                self.queue.append((kind, number, question))
                if self.server is not None:
                    engine.hub.wake(self.server, True)

    def serve(self):
        """Answers one question after the other until Weir says bye."""
        while not self.over:
            while not self.queue:
                self.server = engine.hub.waiting()
                answer = engine.hub.wait(None, self.server)
                self.server = None
                if answer is LATE:
                    continue
            self._answer(*self.queue.popleft())

    def _answer(self, kind, number, question):
        try:
            if kind == b"L":
                reply, self.session = self.setup(question)
            elif question.get("event") == "bye":
                self.over = True
                reply = {}
            elif self.session is None:
                reply = {}  # it was not loaded, or said its help and is about to end
            else:
                reply = getattr(self, "on_" + question.get("event", ""), self._unknown)(question)
        except SystemExit as error:
            from .crew import sys_exit

            sys_exit(error, NOBODY)
            reply = {}
        except Exception as error:
            traceback.print_exc()
            file, line = origin(error)
            reply = {"error": {"text": f"{type(error).__name__}: {error}", "file": file, "line": line}}
        if number:
            engine.channel.post(b"j", number, json.dumps(reply, default=str).encode())

    def _unknown(self, question):
        return {}

    # --- events -----------------------------------------------------------------

    @property
    def environment(self):
        return self.session.environment

    def _fire(self, name, **arguments):
        self.environment.stats.expire()
        getattr(self.environment.events, name).fire(**arguments)
        return {}

    def on_init(self, question):
        from locust import log

        self._fire("init", environment=self.environment, runner=self.environment.runner, web_ui=None)
        return {"failed": log.unhandled_greenlet_exception}

    def on_test_start(self, question):
        environment = self.environment
        environment.runner.state = "ready"
        environment.runner.exceptions = {}
        environment.runner.take(question)
        if question.get("host"):
            environment.host = question["host"]
        options = environment.parsed_options
        options.num_users = options.num_users or 1
        options.spawn_rate = options.spawn_rate or 1
        self.session.crew.broken = self.session.crew.over = False
        environment._filter_tasks_by_tags()
        self._fire("test_start", environment=environment)
        self._host()
        environment.runner.state = "spawning"
        return {}

    def _host(self):
        for user_class in self.environment.user_classes:
            if self.environment.host:
                user_class.host = self.environment.host

    def on_host(self, question):
        self.environment.host = question.get("host")
        self._host()
        return {}

    def on_shape_start(self, question):
        if self.environment.shape_class is not None:
            self.environment.shape_class.reset_time()
        return {}

    def on_spawning_complete(self, question):
        runner = self.environment.runner
        runner.state = "running"
        runner.target_user_classes_count = runner.user_classes_count
        return self._fire("spawning_complete", user_count=question.get("user_count", 0))

    def on_test_stopping(self, question):
        runner = self.environment.runner
        self._fire("test_stopping", environment=self.environment)
        runner.final_user_classes_count = dict(runner.user_classes_count)
        runner.state = "cleanup"
        return {}

    def on_test_stop(self, question):
        self.environment.runner.state = "stopped"
        self.environment.runner.cpu_log_warning()
        return self._fire("test_stop", environment=self.environment)

    def on_quitting(self, question):
        from locust import log

        self._fire("quitting", environment=self.environment, reverse=True)
        return {"exit_code": self.environment.process_exit_code, "unhandled": log.unhandled_greenlet_exception}

    def on_quit(self, question):
        self._fire("quit", exit_code=question.get("exit_code", 0))
        return {}

    def on_reset_stats(self, question):
        return self._fire("reset_stats")

    def on_cpu_warning(self, question):
        self.environment.runner.cpu_warning_emitted = True
        self.environment.runner.current_cpu_usage = question.get("cpu_usage", 0.0)
        return self._fire("cpu_warning", environment=self.environment, cpu_usage=question.get("cpu_usage", 0.0))

    def on_usage_monitor(self, question):
        usage = {key: question.get(key, 0) for key in ("cpu_usage", "memory_usage")}
        runner = self.environment.runner
        runner.current_cpu_usage, runner.current_memory_usage = usage["cpu_usage"], usage["memory_usage"]
        return self._fire("usage_monitor", environment=self.environment, **usage)

    def on_tick(self, question):
        try:
            tick = self.environment.shape_class.tick()
        except Exception as error:
            logging.getLogger("locust.runners").critical("Unhandled exception in greenlet: shape", exc_info=True)
            problem("shape", error)
            file, line = origin(error)
            return {
                "error": {
                    "text": f"{type(error).__name__}: {error}",
                    "file": file,
                    "line": line,
                    "traceback": traceback.format_exc(),
                }
            }
        self.environment.runner.shape_last_tick = tick
        if tick is None:
            return None
        users, rate, *rest = tick
        names = [each.__name__ for each in rest[0]] if rest and rest[0] is not None else None
        return [users, rate, names]

    def on_state(self, question):
        self.environment.runner.take(question)
        return {}

    def on_message(self, question):
        self.environment.runner.receive_message(
            question.get("type"), question.get("data"), question.get("from", "local")
        )
        return {}

    def on_ratios(self, question):
        from locust.user.inspectuser import get_ratio

        spread, users = question.get("by_class") or {}, self.environment.user_classes
        return {"per_class": get_ratio(users, spread, False), "total": get_ratio(users, spread, True)}

    def on_log(self, question):
        level = logging.getLevelName(question.get("level", "INFO"))
        logging.getLogger(question.get("logger", "locust.main")).log(level, "%s", question.get("text", ""))
        return {}
