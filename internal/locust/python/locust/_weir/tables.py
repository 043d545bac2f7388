"""The tables of statistics as Locust logs them, for scripts that print them themselves. They are names of locust.stats."""

import json
from time import time

from locust import stats as home
from locust.util.date import format_utc_timestamp
from locust.util.rounding import proper_round

from .engine import engine


def sort_stats(stats):
    """The values in the order of their keys."""
    return [stats[key] for key in sorted(stats)]


def print_stats(stats, current=True):
    """Logs the table of requests."""
    for line in get_stats_summary(stats, current):
        home.console_logger.info(line)
    home.console_logger.info("")


def print_stats_json(stats):
    """Prints the counts as --json does."""
    print(json.dumps(stats.serialize_stats(), indent=4))


def save_stats_json(stats, filename):
    """Writes the counts to filename.json."""
    with open(f"{filename}.json", "w", encoding="utf-8") as file:
        json.dump(stats.serialize_stats(), file, indent=4)


def get_stats_summary(stats, current=True):
    """The lines of the table of requests."""
    width = home.STATS_NAME_WIDTH - home.STATS_TYPE_WIDTH + 4
    form = f"%-{home.STATS_TYPE_WIDTH}s %-{width}s %7s %12s |%7s %7s %7s%7s | %7s %11s"
    separator = "|".join("-" * n for n in (home.STATS_TYPE_WIDTH, width, 7, 13, 7, 7, 7, 7, 8, 11))
    entries = stats.entries
    return [
        form % ("Type", "Name", "# reqs", "# fails", "Avg", "Min", "Max", "Med", "req/s", "failures/s"),
        separator,
        *(entries[key].to_string(current=current) for key in sorted(entries)),
        separator,
        stats.total.to_string(current=current),
    ]


def print_percentile_stats(stats):
    """Logs the table of percentiles."""
    for line in get_percentile_stats_summary(stats):
        home.console_logger.info(line)
    home.console_logger.info("")


def get_percentile_stats_summary(stats):
    """The lines of the table of percentiles."""
    form = f"%-{home.STATS_TYPE_WIDTH}s %-{home.STATS_NAME_WIDTH}s %8s " + " ".join(
        ["%6s"] * len(home.PERCENTILES_TO_REPORT)
    )
    separator = "|".join(
        "-" * n for n in [home.STATS_TYPE_WIDTH, home.STATS_NAME_WIDTH, 8] + [6] * len(home.PERCENTILES_TO_REPORT)
    )
    entries = stats.entries
    lines = [
        "Response time percentiles (approximated)",
        form % ("Type", "Name", *home.get_readable_percentiles(home.PERCENTILES_TO_REPORT), "# reqs"),
        separator,
        *(entries[key].percentile() for key in sorted(entries) if entries[key].response_times),
        separator,
    ]
    if stats.total.response_times:
        lines.append(stats.total.percentile())
    return lines


def print_error_report(stats):
    """Logs the table of failures, when there are any."""
    if stats.errors:
        for line in get_error_report_summary(stats):
            home.console_logger.info(line)


def get_error_report_summary(stats):
    """The lines of the table of failures."""
    separator = f"{'-' * 18}|{'-' * (80 + home.STATS_NAME_WIDTH - 19)}"
    lines = ["Error report", f"{'# occurrences':18} {'Error':100}", separator]
    lines += ["%-18i %-100s" % (error.occurrences, error.to_name()) for error in stats.errors.values()]
    return [*lines, separator, ""]


def stats_printer(stats):
    """A function that logs the table of requests every two seconds, for ever."""

    def printer():
        while True:
            print_stats(stats)
            engine.sleep(home.CONSOLE_STATS_INTERVAL_SEC)

    return printer


def update_stats_history(runner, timestamp=None):
    """Adds the present figures to stats.history."""
    stats = runner.stats
    timestamp = timestamp or format_utc_timestamp(time())
    total = stats.total
    now = {
        "current_rps": [timestamp, total.current_rps or 0],
        "current_fail_per_sec": [timestamp, total.current_fail_per_sec or 0],
        "total_avg_response_time": [timestamp, proper_round(total.avg_response_time, digits=2)],
        "user_count": [timestamp, runner.user_count or 0],
        "time": timestamp,
    }
    for each in home.PERCENTILES_TO_CHART:
        now[f"response_time_percentile_{each}"] = [timestamp, total.get_current_response_time_percentile(each) or 0]
    stats.history.append(now)


def stats_history(runner):
    """Fills stats.history every five seconds while a test runs, for ever."""
    while True:
        if runner.state not in ("ready", "stopped"):
            update_stats_history(runner)
        engine.sleep(home.HISTORY_STATS_INTERVAL_SEC)
