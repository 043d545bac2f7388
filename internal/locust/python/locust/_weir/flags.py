"""The table of Locust's flags (2.47, argument_parser.py, read 2026-11-22): names, variables, defaults; the help is Weir's own."""

import argparse
import os


def refuse(message):
    """An action that says what has become of a flag."""

    class Refused(argparse.Action):
        def __call__(self, parser, namespace, values, option_string=None):
            raise argparse.ArgumentError(self, message)

    return Refused


def add_flags(parser, types, version_text):
    """Adds every flag of Locust. types holds the functions that check values."""
    parser._optionals.title = "Common options"
    flag, number = "store_true", "<int>"
    add = parser.add_argument
    add("-H", "--host", metavar="<base url>", help="The service under test, e.g. https://www.example.com", env_var="LOCUST_HOST")
    add("-u", "--users", type=int, metavar=number, dest="num_users", help="How many users, at most. The keys w, W add 1, 10, the keys s, S stop 1, 10 while it runs", env_var="LOCUST_USERS")
    add("-r", "--spawn-rate", type=types.gt_zero(float), metavar="<float>", help="Users started per second", env_var="LOCUST_SPAWN_RATE")
    add("-t", "--run-time", metavar="<time string>", help="Stop after this time: 300s, 20m, 3h, 1h30m. Default: never", env_var="LOCUST_RUN_TIME", type=types.timespan)
    add("-l", "--list", action=flag, dest="list_commands", help="List the User classes and exit")
    add("--config-users", type=types.json_user_config, nargs="*", help="Attributes of User classes as JSON, or .json files", env_var="LOCUST_CONFIG_USERS")

    add = parser.add_argument_group("Web UI options").add_argument
    add("--web-host", default="", metavar="<ip>", help="Address the page listens on", env_var="LOCUST_WEB_HOST")
    add("--web-host-display-name", type=str, help=argparse.SUPPRESS, env_var="LOCUST_WEB_HOST_DISPLAY_NAME")
    add("--web-port", "-P", type=int, metavar="<port number>", default=8089, help="Port the page listens on", env_var="LOCUST_WEB_PORT")
    add("--headless", action=flag, help="No page, start at once. Use -u and -t", env_var="LOCUST_HEADLESS")
    add("--autostart", action=flag, help="Start at once, with the page", env_var="LOCUST_AUTOSTART")
    add("--autoquit", type=int, metavar="<seconds>", default=-1, help="Quit so long after the end. Only with --autostart", env_var="LOCUST_AUTOQUIT")
    add("--headful", action=flag, help=argparse.SUPPRESS, env_var="LOCUST_HEADFUL")
    add("--web-auth", type=str, dest="web_auth", metavar="<username:password>", default=None, help=argparse.SUPPRESS, env_var="LOCUST_WEB_AUTH", action=refuse("The --web-auth parameters has been replaced with --web-login. See https://docs.locust.io/en/stable/extending-locust.html#authentication for details"))
    add("--web-login", default=False, action=flag, help="A login before the page", env_var="LOCUST_WEB_LOGIN")
    add("--tls-cert", default="", metavar="<filename>", help="Certificate of the page", env_var="LOCUST_TLS_CERT")
    add("--tls-key", default="", metavar="<filename>", help="Key of the page's certificate", env_var="LOCUST_TLS_KEY")
    add("--class-picker", default=False, action=flag, help="Choose User and shape classes on the page", env_var="LOCUST_USERCLASS_PICKER")
    add("--build-path", type=str, default="", help=argparse.SUPPRESS, env_var="LOCUST_BUILD_PATH")
    add("--legacy-ui", default=False, action=refuse("--legacy-ui is no longer supported, remove the parameter to continue"), nargs=0, help=argparse.SUPPRESS, env_var="LOCUST_LEGACY_UI")
    add("--web-base-path", type=str, default="", help="Base path of the page, e.g. /locust", env_var="LOCUST_WEB_BASE_PATH")

    add = parser.add_argument_group("Master options").add_argument
    add("--master", action=flag, help="Be a master, to which workers connect", env_var="LOCUST_MODE_MASTER")
    add("--master-bind-host", default="*", metavar="<ip>", help="Address the master listens on", env_var="LOCUST_MASTER_BIND_HOST")
    add("--master-bind-port", type=int, metavar="<port number>", default=5557, help="Port the master listens on", env_var="LOCUST_MASTER_BIND_PORT")
    add("--expect-workers", type=types.positive_integer, metavar=number, default=1, help="Wait for so many workers before the start", env_var="LOCUST_EXPECT_WORKERS")
    add("--expect-workers-max-wait", type=int, metavar=number, default=0, help="How long to wait for them", env_var="LOCUST_EXPECT_WORKERS_MAX_WAIT")
    add("--enable-rebalancing", action=flag, default=False, dest="enable_rebalancing", help="Spread users anew when workers come or go")
    add("--expect-slaves", action=refuse("The --expect-slaves parameter has been renamed --expect-workers"), nargs=0, help=argparse.SUPPRESS)

    add = parser.add_argument_group("Worker options").add_argument
    add("--worker", action=flag, help="Be a worker of a master", env_var="LOCUST_MODE_WORKER")
    add("--processes", type=int, metavar=number, help="How many Python processes; -1: one for each processor", env_var="LOCUST_PROCESSES")
    add("--slave", action=refuse("The --slave parameter has been renamed --worker"), nargs=0, help=argparse.SUPPRESS)
    add("--master-host", default="127.0.0.1", help="Address of the master", env_var="LOCUST_MASTER_NODE_HOST", metavar="<hostname>")
    add("--master-port", type=int, metavar="<port number>", default=5557, help="Port of the master", env_var="LOCUST_MASTER_NODE_PORT")

    add = parser.add_argument_group("Tag options").add_argument
    add("-T", "--tags", nargs="*", metavar="<tag>", env_var="LOCUST_TAGS", help="Run only tasks with one of these tags")
    add("-E", "--exclude-tags", nargs="*", metavar="<tag>", env_var="LOCUST_EXCLUDE_TAGS", help="Run no tasks with one of these tags")

    add = parser.add_argument_group("Request statistics options").add_argument
    add("--csv", dest="csv_prefix", metavar="<filename>", help="Write <filename>_stats.csv, _stats_history.csv, _failures.csv and _exceptions.csv", env_var="LOCUST_CSV")
    add("--csv-full-history", action=flag, default=False, dest="stats_history_enabled", help="Every entry in _stats_history.csv, not the total only. Needs --csv", env_var="LOCUST_CSV_FULL_HISTORY")
    add("--print-stats", action=flag, help="Print the table of requests every two seconds, with the page too", env_var="LOCUST_PRINT_STATS")
    add("--only-summary", action=flag, help="Print the table of requests at the end only", env_var="LOCUST_ONLY_SUMMARY")
    add("--reset-stats", action=flag, help="Begin to count anew when all users have been started", env_var="LOCUST_RESET_STATS")
    add("--html", metavar="<filename>", dest="html_file", help="Write a report as a page. {u}, {r}, {t} in the name become users, spawn rate and run time", env_var="LOCUST_HTML")
    add("--json", default=False, action=flag, help="Print the final counts as JSON")
    add("--json-file", metavar="<filename>", dest="json_file", help="Write the final counts as JSON to <filename>.json")

    add = parser.add_argument_group("Logging options").add_argument
    add("--skip-log-setup", action=flag, dest="skip_log_setup", default=False, help="Leave Python's logging as it is", env_var="LOCUST_SKIP_LOG_SETUP")
    add("--loglevel", "-L", default="INFO", help="DEBUG, INFO, WARNING, ERROR or CRITICAL. Default: INFO", metavar="<level>", env_var="LOCUST_LOGLEVEL", choices=["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], type=str.upper)
    add("--logfile", help="Log into this file, not to stderr", metavar="<filename>", env_var="LOCUST_LOGFILE")

    add = parser.add_argument_group("Other options").add_argument
    add("--show-task-ratio", action=flag, help="Print how often each task is run, and exit")
    add("--show-task-ratio-json", action=flag, help="The same as JSON")
    add("--version", "-V", action="version", help="Print the version and exit", version=version_text)
    add("--exit-code-on-error", type=int, metavar=number, default=1, help="Exit code when a request failed or an exception happened", env_var="LOCUST_EXIT_CODE_ON_ERROR")
    add("-s", "--stop-timeout", action="store", dest="stop_timeout", metavar="<number>", default="0", help="How long a task may take to finish when users are stopped. Default: not at all", env_var="LOCUST_STOP_TIMEOUT", type=types.timespan)
    add("--equal-weights", action=flag, default=False, dest="equal_weights", help="The same weight for every class and task")
    add("--profile", type=str, help="A name that groups runs")
    add("--otel", action=flag, help="OpenTelemetry", env_var="LOCUST_ENABLE_OPENTELEMETRY")

    parser.add_argument_group("User classes").add_argument(
        "user_classes",
        nargs="*",
        metavar="<UserClass1 UserClass2>",
        help="The User classes to run; LOCUST_USER_CLASSES names them too. Default: all",
        default=os.environ.get("LOCUST_USER_CLASSES", "").split(),
    )
