"""The answer to Weir's first question: the files loaded, the command line understood, the environment made."""

import itertools
import logging
import os
import random
import sys
import traceback

from . import lint
from .engine import engine
from .load import Exit, LoadError, file_of, merge

COMMON = {"num_users": "users", "spawn_rate": "spawn-rate", "run_time": "run-time"}

logger = logging.getLogger("locust.main")


class Session:
    """What a test has in this process: the environment, and the users."""

    def __init__(self, environment, crew):
        self.environment = environment
        self.crew = crew


def prepare(question):
    """Which files are meant: needed before anything of the user's is imported, to choose how users are held."""
    from locust import argument_parser

    launch = argument_parser.Launch
    launch.prog = question.get("prog") or launch.prog
    launch.version_text = question.get("version_text") or ""
    launch.flags = question.get("flags") or ()
    launch.use_config = bool(question.get("use_config"))
    if question.get("files"):
        return question["files"]
    argv = question.get("argv")
    if argv is None:
        return ["locustfile.py"]
    parser = argument_parser.get_empty_argument_parser(add_help=False)
    for flags in (("-h", "--help"), ("-V", "--version"), ("--worker",), ("--master",)):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("--master-host")
    parser.add_argument("--master-port")
    options, _ = parser.parse_known_args(argv)
    if options.help or options.version:
        # As Locust: without the scripts' own flags when the file cannot be loaded, with them below.
        if options.version or not os.path.exists(options.locustfile):
            argument_parser.get_parser().parse_args(argv)
    if options.locustfile == "-":
        raise Exit(
            1,
            "locustfile was set to '-' (meaning to download from master): Weir has no masters. Give it the file itself.\n",
        )
    return [options.locustfile]


def answer(question, files):
    """(what Weir is told, the Session)."""
    if question.get("seed") is not None:
        random.seed(question["seed"] + question.get("worker_index", 0))
    quiet = question.get("quiet", False)
    out = (sys.stdout, sys.stderr)
    if quiet:
        sys.stdout = sys.stderr = open(os.devnull, "w")
    try:
        return _answer(question, files)
    except Exit as stop:
        sys.stderr.write(stop.text)
        return {"exit": stop.code}, None
    except LoadError as error:
        told = {"text": error.text, "file": error.file, "line": error.line, "traceback": error.stack, "hint": error.hint}
        return {"error": told, "exit": 1}, None
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        if stop.code is not None and not isinstance(stop.code, int):
            sys.stderr.write(f"{stop.code}\n")
        return {"exit": code % 256}, None
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if quiet:
            sys.stdout.close()
            sys.stdout, sys.stderr = out


def _answer(question, files):
    import locust
    from locust import argument_parser, log

    users, shapes = merge(files)
    options, parser, reclaimed = _options(question, argument_parser)
    if not options.skip_log_setup and not question.get("quiet"):
        log.setup_logging(options.loglevel, options.logfile)
    logger.info(f"Starting Locust {locust.__version__} (weir)")
    if options.list_commands:
        print("Available Users:")
        for name in users:
            print("    " + name)
        raise SystemExit(0)
    if not users:
        logger.error("No User class found!")
        raise SystemExit(1)
    chosen = _choose(options, users)
    shape = next(iter(shapes.values()), None)
    environment = _environment(options, files, chosen, users, shapes, shape)
    _configure(options, environment, shape)
    _ratios(options, environment)

    from locust import runners

    from .crew import Crew

    index = question.get("worker_index", 0)
    kind = runners.WorkerRunner if index else runners.LocalRunner
    environment.runner = kind(environment, question.get("processes") or 1, index)
    if shape is not None:
        shape.runner = environment.runner
    environment.events.user_error.add_listener(_task_failed)
    if options.equal_weights:
        environment.events.init.add_listener(lambda environment, **_: environment.assign_equal_weights())
    told = _tell(options, parser, argument_parser, environment, users, shape, files)
    told["reclaimed"] = reclaimed
    return told, Session(environment, Crew(environment))


def _options(question, argument_parser):
    from locust.stats import validate_stats_configuration

    parser = argument_parser.get_parser()
    argv, reclaimed = reclaim(question.get("argv") or [], question.get("own") or [], parser)
    options = parser.parse_args(argv)
    for name, value in (question.get("options") or {}).items():
        setattr(options, name, value)
    if question.get("files"):
        options.locustfile = ",".join(question["files"])
    if options.stats_history_enabled and options.csv_prefix is None:
        parser.error("'--csv-full-history' requires '--csv'.")
    validate_stats_configuration()
    if options.headful:
        options.headless = False
    if options.autoquit != -1 and not options.autostart:
        raise Exit(1, "--autoquit is only meaningful in combination with --autostart\n")
    return options, parser, reclaimed


def reclaim(argv, own, parser):
    """Gives back to the script what Weir took for a flag of its own and the script declares too.

    own says what was taken: its place in the untouched command line, the flag, the words. (the new argv, the flags.)
    """
    whole = [(word, None) for word in argv]
    for entry in own:
        whole[entry["at"] : entry["at"]] = [(word, entry["flag"]) for word in entry["tokens"]]
    names = {entry["flag"] for entry in own if entry["flag"] in parser._option_string_actions}
    return [word for word, flag in whole if flag is None or flag in names], sorted(names)


def _choose(options, users):
    wanted = options.user_classes
    if not wanted:
        return list(users.values())
    missing = [name for name in wanted if name not in users]
    if missing:
        logger.error(f"Unknown User(s): {', '.join(missing)}\n")
        raise SystemExit(1)
    return [each for name, each in users.items() if name in wanted]


def _environment(options, files, chosen, users, shapes, shape):
    import locust
    from locust.env import Environment

    if shape is None and options.num_users:
        fixed = sum(each.fixed_count for each in chosen)
        if fixed > options.num_users:
            logger.info(
                f"Total fixed_count of User classes ({fixed}) is greater than the specified number of users"
                f" ({options.num_users}), so not all will be spawned."
            )
    try:
        return Environment(
            locustfile=os.path.basename(files[0]),
            user_classes=chosen,
            shape_class=shape,
            events=locust.events,
            host=options.host,
            reset_stats=options.reset_stats,
            parsed_options=options,
            parsed_locustfiles=files,
            available_user_classes=users,
            available_shape_classes=shapes,
            available_user_tasks={name: each.tasks for name, each in users.items()},
            profile=options.profile,
        )
    except ValueError as error:
        raise LoadError(str(error), files[0], 0, traceback.format_exc()) from None


def _configure(options, environment, shape):
    if options.config_users:
        try:
            for entry in itertools.chain(*options.config_users):
                environment.update_user_class(entry)
        except KeyError as error:
            logger.error(
                "Error applying user config, probably you tried to specify config for a User not present in your locustfile:"
                f" {error}"
            )
            raise SystemExit(255) from None
    if shape is not None and not shape.use_common_options and any(getattr(options, each, None) for each in COMMON):
        logger.warning(
            "--run-time, --users or --spawn-rate have no impact on LoadShapes unless the shape class explicitly reads them. "
            "See: docs.locust.io/en/stable/custom-load-shape.html#use-common-options"
        )
        ignored = [f"--{name}" for each, name in COMMON.items() if getattr(options, each, None)]
        logger.warning(f"The following option(s) will be ignored: {', '.join(ignored)}")


def _ratios(options, environment):
    from locust.user.inspectuser import print_task_ratio, print_task_ratio_json

    if options.show_task_ratio:
        print("\n Task ratio per User class")
        print("-" * 80)
        print_task_ratio(environment.user_classes, options.num_users, False)
        print("\n Total task ratio")
        print("-" * 80)
        print_task_ratio(environment.user_classes, options.num_users, True)
        raise SystemExit(0)
    if options.show_task_ratio_json:
        print_task_ratio_json(environment.user_classes, options.num_users)
        raise SystemExit(0)


def _task_failed(user_instance, exception, tb):
    """The first listener of user_error: what the runner's exceptions and Weir's reports hold."""
    from .report import problem

    user = getattr(user_instance, "user", user_instance)
    user.environment.runner.log_exception("local", str(exception), "".join(traceback.format_tb(tb)))
    problem("task", exception, user._weir_id)


def _tell(options, parser, argument_parser, environment, users, shape, files):
    from locust.stats import changed_settings
    from locust.user.inspectuser import _calc_distribution, get_ratio

    own = set(argument_parser.default_args_dict())
    extra = [each for each in parser._actions if each.dest not in own]
    chosen = environment.user_classes
    spread = _calc_distribution(chosen, options.num_users)
    return {
        "scheduler": engine.hub.name,
        "why": engine.why,
        "options": vars(options),
        "secret": sorted(parser.secret_args_included_in_web_ui),
        "classes": [_class(each) for each in chosen],
        "available": [_class(each) for each in users.values()],
        "shape": None
        if shape is None
        else {**_place(type(shape)), "use_common_options": bool(shape.use_common_options)},
        "locustfile": environment.locustfile,
        "files": files,
        "arguments": [_argument(each) for each in extra if each.dest not in ("help", "version")],
        "ratios": {"per_class": get_ratio(chosen, spread, False), "total": get_ratio(chosen, spread, True)},
        "thread_limit": engine.hub.room(),
        "stats_settings": changed_settings(),
        "notices": lint.notices(files),
    }


def _place(what):
    file = file_of(what)
    line = lint.lines(file).get(what.__qualname__, 0)
    return {"name": what.__name__, "module": what.__module__, "file": file, "line": line}


def _class(user_class):
    from locust import FastHttpUser, HttpUser

    kind = (
        "fasthttp" if issubclass(user_class, FastHttpUser) else "http" if issubclass(user_class, HttpUser) else "other"
    )
    return {
        **_place(user_class),
        "host": user_class.host,
        "weight": user_class.weight,
        "fixed_count": user_class.fixed_count,
        "kind": kind,
    }


def _argument(action):
    return {
        "flags": action.option_strings,
        "dest": action.dest,
        "default": action.default,
        "help": action.help,
        "choices": action.choices,
        "action": type(action).__name__.strip("_"),
        **{
            key: getattr(action, key, None)
            for key in ("env_var", "include_in_web_ui", "is_secret", "is_required", "is_multiple")
        },
    }
