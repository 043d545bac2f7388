"""Events: what a locustfile can listen to, and the one it fires for requests of its own clients."""

import logging
import time
import traceback
from contextlib import contextmanager

from locust import log
from locust._weir.report import listener_failed, sample
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

# A listener may steer the user in whose code it runs.
STEERING = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)


class EventHook:
    """A list of functions that are called, with names for all arguments, when something happens."""

    def __init__(self):
        self._handlers = []

    def add_listener(self, handler):
        """Also usable as a decorator."""
        self._handlers.append(handler)
        return handler

    def remove_listener(self, handler):
        self._handlers.remove(handler)

    def __iadd__(self, handler):
        # How listeners were added before Locust 1.0.
        self.add_listener(handler)
        return self

    def __isub__(self, handler):
        self.remove_listener(handler)
        return self

    def fire(self, *, reverse=False, **arguments):
        """Calls every listener. One that fails is reported, and the others are called all the same."""
        handlers = self._handlers[::-1] if reverse else self._handlers[:]
        for handler in handlers:
            try:
                handler(**arguments)
            except STEERING:
                raise
            except Exception as error:
                logging.error("Uncaught exception in event handler: \n%s", traceback.format_exc())
                log.unhandled_greenlet_exception = True
                listener_failed(error)

    @contextmanager
    def measure(self, request_type, name, response_length=0, context=None):
        """Times a block of code and fires the event with it; an exception inside becomes a failure and ends there.

        The dictionary it gives can be added to: its items become the event's arguments.
        """
        arguments = {
            "request_type": request_type,
            "name": name,
            "response_length": response_length,
            "context": context or {},
            "exception": None,
            "start_time": time.time(),
        }
        begin = time.perf_counter()
        try:
            yield arguments
        except Exception as error:
            arguments["exception"] = error
        finally:
            arguments["response_time"] = (time.perf_counter() - begin) * 1000
            self.fire(**arguments)


class RequestHook(EventHook):
    """The request event. What a script fires is counted by Weir; what Weir's own clients tell is counted already."""

    def fire(self, *, reverse=False, **arguments):
        sample(arguments)
        super().fire(reverse=reverse, **arguments)

    def _tell(self, **arguments):
        """Calls the listeners only. For the clients of this package, whose requests the engine has recorded."""
        super().fire(**arguments)


class DeprecatedEventHook(EventHook):
    """An event whose listeners get a warning first."""

    def __init__(self, message):
        self.message = message
        super().__init__()

    def add_listener(self, handler):
        logging.warning(self.message)
        return super().add_listener(handler)


class Events:
    """All events. Which arguments each has, docs/locust.md says."""

    request: EventHook
    user_error: EventHook
    report_to_master: EventHook
    worker_report: EventHook
    worker_connect: EventHook
    spawning_complete: EventHook
    quitting: EventHook
    quit: EventHook
    init: EventHook
    init_command_line_parser: EventHook
    test_start: EventHook
    test_stopping: EventHook
    test_stop: EventHook
    reset_stats: EventHook
    cpu_warning: EventHook
    heartbeat_sent: EventHook
    heartbeat_received: EventHook
    usage_monitor: EventHook

    def __init__(self):
        for owner in reversed(type(self).__mro__):
            for name, kind in getattr(owner, "__annotations__", {}).items():
                if kind is EventHook or kind == "EventHook":
                    setattr(self, name, RequestHook() if name == "request" else EventHook())

    def __getattr__(self, name):
        from locust._weir import legacy

        return legacy.event(self, name)
