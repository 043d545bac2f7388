"""One user by itself, with a line for each request, for use with a debugger."""

import os
import sys

import locust
import locust.log
from locust import argument_parser
from locust._weir.engine import engine
from locust.env import Environment
from locust.exception import CatchResponseError


def _column(value):
    print(str(value), end="\t")


class PrintListener:
    """Prints every request."""

    def __init__(self, env, include_length=False, include_time=False, include_context=False, include_payload=False):
        env.events.request.add_listener(self.on_request)
        self.include_length = "length\t" if include_length else ""
        self.include_time = "time                    \t" if include_time else ""
        self.include_context = "context\t" if include_context else ""
        self.include_payload = "payload\t" if include_payload else ""
        print(
            f"\n{self.include_time}type\t{'name'.ljust(50)}\tresp_ms\t{self.include_length}exception\t"
            f"{self.include_context}\t{self.include_payload}"
        )

    def on_request(
        self,
        request_type,
        name,
        response_time,
        response_length,
        exception,
        context,
        start_time=None,
        response=None,
        **_kwargs,
    ):
        error = ""
        if exception:
            error = str(exception) if isinstance(exception, CatchResponseError) else repr(exception)
            error = error[:500].replace("\n", " ")
        if self.include_time:
            from datetime import datetime, timezone

            _column(datetime.fromtimestamp(start_time, tz=timezone.utc) if start_time else datetime.now())
        _column(request_type)
        _column((name or "").ljust(50))
        _column(str(round(-1 if response_time is None else response_time)).ljust(7))
        if self.include_length:
            _column(response_length)
        _column(error.ljust(9))
        if self.include_context:
            _column(context or "")
        if self.include_payload:
            _column(response.request.body)
        print()


def run_single_user(
    user_class,
    include_length=False,
    include_time=False,
    include_context=False,
    include_payload=False,
    loglevel="WARNING",
):
    """Runs one user of the class until it ends, firing init and test_start before. loglevel None leaves logging alone."""
    if loglevel:
        locust.log.setup_logging(loglevel)
    environment = engine.single
    if environment is None:
        options = argument_parser.get_parser().parse_args([])
        options.locustfile = os.path.basename(sys._getframe(1).f_code.co_filename)
        environment = Environment(
            events=locust.events, locustfile=options.locustfile, host=options.host, parsed_options=options
        )
        engine.single = environment
        PrintListener(environment, include_length, include_time, include_context, include_payload)
        environment.events.init.fire(environment=environment, runner=None, web_ui=None)
        if locust.log.unhandled_greenlet_exception:
            raise SystemExit(1)
    environment.user_classes = [user_class]
    environment._filter_tasks_by_tags()
    environment.events.test_start.fire(environment=environment)
    if environment.host:
        user_class.host = environment.host
    user = user_class(environment)
    environment.single_user_instance = user
    user.run()
