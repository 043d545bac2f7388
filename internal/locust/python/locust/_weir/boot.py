"""The first thing that runs: opens the channel, says hello, chooses how users are held, and serves Weir until it says bye."""

import faulthandler
import json
import os
import signal
import sys
import time

from . import faces
from .channel import Channel, connect
from .choice import choose
from .engine import engine
from .load import Exit, paths
from .watchdog import Watchdog


def main(run_package):
    """Never returns: the process ends with it. run_package runs the code of the package locust."""
    _signals()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    channel = Channel(connect(), closed=_end)
    code = 0
    try:
        _serve(channel, run_package)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    _end(code)


def _signals():
    """Ctrl-C and SIGTERM are Weir's business. SIGUSR2 prints where every thread is, even from a loop without end.

    Not SIG_IGN: programs that a script starts would inherit it, and could not be ended any more.
    """
    signal.signal(signal.SIGINT, _leave_it)
    if os.name != "nt":
        signal.signal(signal.SIGTERM, _leave_it)
    if hasattr(faulthandler, "register") and hasattr(signal, "SIGUSR2"):
        faulthandler.register(signal.SIGUSR2, all_threads=True)


def _leave_it(number, frame):
    """Does nothing."""


def _serve(channel, run_package):
    hello = {"protocol": 1, "python": sys.version.split()[0], "scheduler": "", "pid": os.getpid()}
    channel.post(b"H", 0, json.dumps(hello).encode())
    number, question = _first(channel)
    sys.argv = [sys.argv[0]] + list(question.get("argv") or [])
    way, files, refusal = "baton", [], None
    # Which files are meant is on the command line, and the parser's package is imported for it; but what that package
    # imports depends on the way. So a small look at the command line comes first, with nothing of the package.
    wanted = question.get("users_as") or os.environ.get("WEIR_USERS_AS", "")
    try:
        way, engine.why = choose(_likely_files(question), wanted)
    except Exit as stop:
        refusal = stop
    hub = _hub(way, channel)
    engine.attach(hub, channel)
    faces.install(gevent_is_real=way == "gevent")
    time.sleep = hub.sleep
    run_package()

    from . import setup
    from .control import Control

    def load(question):
        nonlocal files
        if refusal is not None:
            if not question.get("quiet"):
                sys.stderr.write(refusal.text)
            return {"exit": refusal.code}, None
        try:
            files = paths(setup.prepare(question))
        except Exit as stop:
            if not question.get("quiet"):
                sys.stderr.write(stop.text)
            return {"exit": stop.code}, None
        except SystemExit as stop:
            return {"exit": stop.code or 0}, None
        told = setup.answer(question, files)
        dog.steals = True
        return told

    control = Control(load)
    engine.control = control.take
    control.queue.append((b"L", number, question))
    dog = Watchdog(hub, engine)
    dog.start()
    hub.main(control.serve)
    channel.flush()


def _first(channel):
    """The question that comes first, L."""
    while True:
        channel.flush()
        if channel.wait(None):
            for kind, number, payload in channel.receive():
                if kind == b"L":
                    return number, json.loads(payload)


def _likely_files(question):
    """The files that will most likely be loaded: what -f says, or the usual name. Folders are walked."""
    names = list(question.get("files") or [])
    argv = question.get("argv") or []
    if not names:
        for at, word in enumerate(argv):
            if word in ("-f", "--locustfile") and at + 1 < len(argv):
                names.append(argv[at + 1])
            elif word.startswith("--locustfile="):
                names.append(word.partition("=")[2])
            elif word.startswith("-f") and not word.startswith("--") and len(word) > 2:
                names.append(word[2:])
    names = names or [os.environ.get("LOCUST_LOCUSTFILE") or "locustfile.py"]
    found = []
    for name in ",".join(names).split(","):
        name = name.strip()
        if os.path.isdir(name):
            for root, _, files in os.walk(name):
                found += [os.path.join(root, file) for file in files if file.endswith(".py")]
        else:
            found.append(os.path.abspath(name))
    return found


def _hub(way, channel):
    if way == "gevent":
        from .gev import GeventHub as kind
    elif way == "greenlet":
        from .green import GreenHub as kind
    else:
        from .baton import BatonHub as kind
    return kind(channel, engine.deliver)


def _end(code=0):
    """Ends at once: threads of users may still wait for something."""
    if engine.hub is not None:
        engine.hub.closed = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)
