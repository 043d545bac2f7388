"""Statistics as scripts read them. Weir counts; what stands here is its latest count, fetched when it is looked at."""

import ast
import logging
import os
import sys
from collections import OrderedDict, defaultdict, namedtuple
from time import perf_counter, time

from locust._weir.engine import engine
from locust._weir.report import sample, text_of
from locust.exception import CatchResponseError

from .util.rounding import proper_round

console_logger = logging.getLogger("locust.stats_logger")
logger = logging.getLogger(__name__)

try:
    STATS_NAME_WIDTH = max(min(os.get_terminal_size()[0] - 80, 80), 0)
except OSError:
    STATS_NAME_WIDTH = 80
STATS_AUTORESIZE = True
STATS_TYPE_WIDTH = 8
CONSOLE_STATS_INTERVAL_SEC = 2
HISTORY_STATS_INTERVAL_SEC = 5
CSV_STATS_INTERVAL_SEC = 1
CSV_STATS_FLUSH_INTERVAL_SEC = 5
CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW = 10
PERCENTILES_TO_REPORT = [0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0]
PERCENTILES_TO_STATISTICS = [0.95, 0.99]
PERCENTILES_TO_CHART = [0.5, 0.95]

CachedResponseTimes = namedtuple("CachedResponseTimes", ["response_times", "num_requests", "num_none_requests"])

# What scripts may set, and Weir carries out.
SETTINGS = {
    name: value if not isinstance(value, list) else list(value)
    for name, value in list(globals().items())
    if name.startswith(("PERCENTILES_TO_", "CONSOLE_STATS", "CSV_STATS", "HISTORY_STATS"))
}


def changed_settings():
    """Those of the settings that a script has changed."""
    return {name: globals()[name] for name, before in SETTINGS.items() if globals()[name] != before}


def validate_stats_configuration():
    """Ends the program when a script has set percentiles that cannot be."""
    wrong = ""
    if len(PERCENTILES_TO_CHART) > 6:
        wrong = "stats.PERCENTILES_TO_CHART parameter should be a maximum of 6 parameters \n"
    for name in ("PERCENTILES_TO_CHART", "PERCENTILES_TO_STATISTICS"):
        if not wrong and not all(isinstance(each, float) and 0 < each < 1 for each in globals()[name]):
            wrong = f"stats.{name} parameter need to be float and value between. 0 < percentile < 1 Eg 0.95\n"
    if wrong:
        sys.stderr.write(wrong)
        raise SystemExit(1)


FRESH = 0.1  # seconds for which a count is good enough to be read again
KEPT = CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW + 10  # seconds of past counts kept for the current percentiles


def bucket_response_time(response_time):
    """Rounds to about two digits: 147 is 150, 3432 is 3400."""
    if response_time < 100:
        return round(response_time)
    digits = -1 if response_time < 1000 else -2 if response_time < 10000 else -3
    return int(round(response_time, digits))


def get_readable_percentiles(percentile_list):
    """0.5 as 50%, 0.999 as 99.9%."""
    shown = []
    for each in percentile_list:
        hundred = each * 100
        shown.append(f"{int(hundred) if hundred.is_integer() else round(hundred, 6)}%")
    return shown


def calculate_response_time_percentile(response_times, num_requests, percent):
    """The time within which so large a part (0 to 1) of the requests was answered."""
    below = int(num_requests * percent)
    seen = 0
    for response_time in sorted(response_times, reverse=True):
        seen += response_times[response_time]
        if num_requests - seen <= below:
            return response_time
    return 0


def diff_response_time_dicts(latest, old):
    """What latest has more than old."""
    return {t: count - old.get(t, 0) for t, count in latest.items() if count != old.get(t, 0)}


def avg(values):
    """The mean, 0 for nothing."""
    return sum(values, 0.0) / max(len(values), 1)


class StatsEntry:
    """The count of one (name, method), or of all."""

    def __init__(self, stats, name, method, use_response_times_cache=False):
        self.stats = stats
        self.name = name
        self.method = method
        self.use_response_times_cache = use_response_times_cache
        self.response_times_cache = OrderedDict()
        self.reset()

    def reset(self):
        """All to zero, here only: RequestStats.reset_all asks Weir."""
        self.num_requests = 0
        self.num_none_requests = 0
        self.num_failures = 0
        self.total_response_time = 0
        self.min_response_time = None
        self.max_response_time = 0
        self.total_content_length = 0
        self.response_times = defaultdict(int)
        self.num_reqs_per_sec = defaultdict(int)
        self.num_fail_per_sec = defaultdict(int)
        self.start_time = time()
        self.last_request_timestamp = None
        self.response_times_cache.clear()

    def take(self, counted):
        """Becomes what Weir has counted."""
        for key in ("num_requests", "num_failures", "total_response_time", "total_content_length"):
            setattr(self, key, counted.get(key) or 0)
        self.num_none_requests = counted.get("num_none_requests") or 0
        self.min_response_time = counted.get("min_response_time")
        self.max_response_time = counted.get("max_response_time") or 0
        self.start_time = counted.get("start_time") or self.start_time
        self.last_request_timestamp = counted.get("last_request_timestamp")
        for key in ("response_times", "num_reqs_per_sec", "num_fail_per_sec"):
            whole = {int(float(k)): v for k, v in (counted.get(key) or {}).items()}
            setattr(self, key, defaultdict(int, whole))
        if self.use_response_times_cache:
            self.remember(int(time()))

    def remember(self, second):
        """Keeps the distribution of this second, for the percentiles of the last ones."""
        self.response_times_cache[second] = CachedResponseTimes(
            dict(self.response_times), self.num_requests, self.num_none_requests
        )
        while len(self.response_times_cache) > KEPT:
            self.response_times_cache.popitem(last=False)

    @property
    def fail_ratio(self):
        if self.num_requests:
            return float(self.num_failures) / self.num_requests
        return 1.0 if self.num_failures else 0.0

    @property
    def avg_response_time(self):
        timed = self.num_requests - self.num_none_requests
        return float(self.total_response_time) / timed if timed else 0.0

    @property
    def median_response_time(self):
        if not self.response_times:
            return 0
        median = self.get_response_time_percentile(0.5) or 0
        # Buckets are rounded, minimum and maximum are not.
        median = min(median, self.max_response_time)
        return median if self.min_response_time is None else max(median, self.min_response_time)

    @property
    def current_rps(self):
        return self._current(self.num_reqs_per_sec)

    @property
    def current_fail_per_sec(self):
        return self._current(self.num_fail_per_sec)

    def _current(self, per_second):
        last = self.stats.last_request_timestamp
        if last is None:
            return 0
        begin = max(int(last) - 12, int(self.stats.start_time or 0))
        return avg([per_second.get(second, 0) for second in range(begin, int(last) - 2)])

    @property
    def total_rps(self):
        return self._mean(self.num_requests)

    @property
    def total_fail_per_sec(self):
        return self._mean(self.num_failures)

    def _mean(self, count):
        last, begin = self.stats.last_request_timestamp, self.stats.start_time
        return count / (last - begin) if last and begin and last != begin else 0.0

    @property
    def avg_content_length(self):
        return self.total_content_length / self.num_requests if self.num_requests else 0

    def get_response_time_percentile(self, percent):
        """The time within which so large a part (0 to 1) was answered."""
        return calculate_response_time_percentile(
            self.response_times, self.num_requests - self.num_none_requests, percent
        )

    def get_current_response_time_percentile(self, percent):
        """The same of about the last ten seconds; None while there is no past to compare with."""
        if not self.use_response_times_cache:
            raise ValueError(
                "StatsEntry.use_response_times_cache must be set to True to calculate the _current_ response time"
                " percentile"
            )
        middle = int(time()) - CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW
        for offset in [0] + [sign * distance for distance in range(1, 9) for sign in (-1, 1)]:
            past = self.response_times_cache.get(middle + offset)
            if past is not None:
                return calculate_response_time_percentile(
                    diff_response_time_dicts(self.response_times, past.response_times),
                    self.num_requests - self.num_none_requests - past.num_requests + past.num_none_requests,
                    percent,
                )
        return None

    def log(self, response_time, content_length):
        """Counts a request of a script's own."""
        self.stats.log_request(self.method, self.name, response_time, content_length)

    def log_error(self, error):
        """Counts a failure of a script's own."""
        self.stats.log_error(self.method, self.name, error)

    def serialize(self):
        """The count as --json prints it."""
        return {
            key: getattr(self, key)
            for key in (
                "name method last_request_timestamp start_time num_requests num_none_requests num_failures"
                " total_response_time max_response_time min_response_time total_content_length response_times"
                " num_reqs_per_sec num_fail_per_sec"
            ).split()
        }

    def to_dict(self, escape_string_values=False):
        """The figures that the report's tables show."""
        figures = {
            "method": self.method,
            "name": self.name,
            "num_requests": self.num_requests,
            "num_failures": self.num_failures,
            "min_response_time": proper_round(self.min_response_time or 0),
            "max_response_time": proper_round(self.max_response_time),
            "avg_content_length": self.avg_content_length,
        }
        for key in (
            "current_rps current_fail_per_sec avg_response_time median_response_time total_rps total_fail_per_sec"
        ).split():
            figures[key] = getattr(self, key)
        for each in PERCENTILES_TO_STATISTICS:
            figures[f"response_time_percentile_{each}"] = self.get_response_time_percentile(each)
        return figures

    def to_string(self, current=True):
        """The line of the console table, with the rates of the last seconds or of the whole run."""
        form = f"%-{STATS_TYPE_WIDTH}s %-{STATS_NAME_WIDTH - STATS_TYPE_WIDTH + 4}s %7d %12s |%7d %7d %7d%7d | %7.2f %11.2f"
        return form % (
            (self.method and self.method + " ") or "",
            self.name,
            self.num_requests,
            "%d(%.2f%%)" % (self.num_failures, self.fail_ratio * 100),
            self.avg_response_time,
            self.min_response_time or 0,
            self.max_response_time,
            self.median_response_time or 0,
            (self.current_rps if current else self.total_rps) or 0,
            (self.current_fail_per_sec if current else self.total_fail_per_sec) or 0,
        )

    def __str__(self):
        return self.to_string(current=True)

    def percentile(self):
        """The line of the console's percentile table."""
        if not self.num_requests:
            raise ValueError("Can't calculate percentile on url with no successful requests")
        form = f"%-{STATS_TYPE_WIDTH}s %-{STATS_NAME_WIDTH}s %8d " + " ".join(["%6d"] * len(PERCENTILES_TO_REPORT))
        times = [self.get_response_time_percentile(each) for each in PERCENTILES_TO_REPORT]
        return form % (self.method or "", self.name, *times, self.num_requests)


class StatsError:
    """One kind of failure, and how often it has been."""

    def __init__(self, method, name, error, occurrences=0, first_seen=None, last_seen=None):
        self.method = method
        self.name = name
        self.error = error
        self.occurrences = occurrences
        self.first_seen = first_seen
        self.last_seen = last_seen

    parse_error = staticmethod(text_of)

    @classmethod
    def create_key(cls, method, name, error):
        """What tells kinds of failures apart."""
        return f"{method}.{name}.{cls.parse_error(error)!r}"

    def occurred(self):
        self.occurrences += 1
        self.last_seen = time()
        self.first_seen = self.first_seen or self.last_seen

    def to_name(self):
        """The failure as the error report shows it."""
        error = self.error
        if isinstance(error, CatchResponseError):
            error = error.args[0]
        elif not isinstance(error, str):
            error = repr(error)
        elif error.startswith("CatchResponseError("):
            # Weir knows failures by their texts; Locust, in one process, shows what the script said without quotes.
            try:
                error = ast.literal_eval(error[len("CatchResponseError(") : -1])
            except (SyntaxError, ValueError):
                error = error[len("CatchResponseError(") : -1]
        return f"{self.method} {self.name}: {error}"

    def to_dict(self):
        return {
            "method": self.method,
            "name": self.name,
            "error": self.parse_error(self.error),
            "occurrences": self.occurrences,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
        }

    serialize = to_dict


class EntriesDict(dict):
    """Entries by (name, method). One that is asked for and not there is made, with nothing counted."""

    def __init__(self, request_stats):
        super().__init__()
        self.request_stats = request_stats

    def __missing__(self, key):
        self[key] = StatsEntry(self.request_stats, key[0], key[1], use_response_times_cache=True)
        return self[key]


class RequestStats:
    """All that has been counted: entries, total and errors. Looking at it asks Weir, at most ten times a second."""

    def __init__(self, use_response_times_cache=True):
        self.use_response_times_cache = use_response_times_cache
        self.history = []
        self._begin()

    def _begin(self):
        self._entries = EntriesDict(self)
        self._errors = {}
        self._total = StatsEntry(self, "Aggregated", "", use_response_times_cache=True)
        self._asked = None
        self._asking = False

    def expire(self):
        """Makes the next look ask again, however soon it is."""
        self._asked = None

    def _refresh(self):
        now = perf_counter()
        if self._asking or (self._asked is not None and now - self._asked < FRESH) or engine.hub is None:
            return
        self._asking = True
        try:
            counted = engine.ask(op="stats") or {}
        finally:
            self._asking = False
        self._asked = perf_counter()
        known = set()
        for each in counted.get("entries") or []:
            key = (each.get("name", ""), each.get("method", ""))
            known.add(key)
            self._entries[key].take(each)
        for key, entry in self._entries.items():
            if key not in known:
                entry.reset()
        self._total.take(counted.get("total") or {})
        self._errors = {}
        for each in counted.get("errors") or []:
            error = StatsError(
                each.get("method", ""),
                each.get("name", ""),
                each.get("error", ""),
                each.get("occurrences", 0),
                each.get("first_seen"),
                each.get("last_seen"),
            )
            self._errors[StatsError.create_key(error.method, error.name, error.error)] = error

    @property
    def entries(self):
        self._refresh()
        return self._entries

    @property
    def errors(self):
        self._refresh()
        return self._errors

    @property
    def total(self):
        self._refresh()
        return self._total

    @property
    def num_requests(self):
        return self.total.num_requests

    @property
    def num_none_requests(self):
        return self.total.num_none_requests

    @property
    def num_failures(self):
        return self.total.num_failures

    @property
    def last_request_timestamp(self):
        return self._total.last_request_timestamp

    @property
    def start_time(self):
        return self._total.start_time

    def get(self, name, method):
        """The entry of that name and method."""
        return self.entries[(name, method)]

    def log_request(self, method, name, response_time, content_length):
        """Counts a request of a script's own."""
        sample(
            {"request_type": method, "name": name, "response_time": response_time, "response_length": content_length}
        )
        self.expire()

    def log_error(self, method, name, error):
        """Counts a failure of a script's own; the request itself was counted by log_request."""
        engine.tell(op="failure", type=method, name=name, error=text_of(error))
        self.expire()

    def reset_all(self):
        """Sets every count to zero."""
        engine.ask(op="reset_stats")
        self.history = []
        self.expire()

    def clear_all(self):
        """Forgets every entry."""
        self.reset_all()
        self._begin()

    def serialize_stats(self):
        return [each.serialize() for each in self.entries.values() if each.num_requests or each.num_failures]

    def serialize_errors(self):
        return {key: each.to_dict() for key, each in self.errors.items()}


from ._weir.tables import (  # noqa: E402  (they look at what stands above)
    get_error_report_summary,
    get_percentile_stats_summary,
    get_stats_summary,
    print_error_report,
    print_percentile_stats,
    print_stats,
    print_stats_json,
    save_stats_json,
    sort_stats,
    stats_history,
    stats_printer,
    update_stats_history,
)

