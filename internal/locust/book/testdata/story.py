# Plays the story of book_test.go into Locust's own statistics and writes what
# Locust writes of it. Run with the Python that has locust installed:
#
#     python story.py golden
import io
import sys
import time

START = 1795316400.25  # 2026-11-22T03:00:00.25Z
clock = [START]
time.time = lambda: clock[0]

from locust import stats as st  # noqa: E402
from locust.exception import CatchResponseError  # noqa: E402

st.STATS_NAME_WIDTH = 80


class HTTPError(Exception):
    pass


class Gone:
    """An object whose description has an address."""


class Runner:
    user_count = 3
    exceptions = {}


class Environment:
    runner = Runner()
    stats = st.RequestStats()


def second():
    # The twin is asked once a second; Locust remembers by itself.
    pass


env = Environment()
stats = env.stats


def record(method, name, ms, length, error, at):
    clock[0] = START + at
    stats.log_request(method, name, ms, length)
    if error is not None:
        stats.log_error(method, name, error)


def exception(text, traceback):
    row = env.runner.exceptions.setdefault(traceback, {"count": 0, "msg": text, "traceback": traceback, "nodes": set()})
    row["count"] += 1
    row["nodes"].add("local")


for i in range(40):
    sec = i * 0.5
    record("GET", "/hello", 12.25 + i, 120, None, sec)
    if i % 4 == 0:
        record("POST", "/login", 850.125, 31, HTTPError("429 Client Error: Too Many Requests for url: /login"), sec + 0.1)
    if i == 7:
        record("GET", '/a,"b"', 99.7, 0, CatchResponseError('not "good", said it'), sec)
        record("WSR", "socket", None, 0, None, sec)
        record("grpc", "ünï", 1500, 64, "<Gone object at 0x7f00aa>", sec)
        record("grpc", "ünï", 1500, 64, "<Gone object at 0x7f00bb>", sec + 1)
        for text in ("'x'", "'y'"):
            exception(text, "  File \"a.py\", line 3, in t\n    x['x']\n")

clock[0] = START + 20
folder = sys.argv[1] + "/"


def write(name, text):
    with open(folder + name, "w", newline="") as f:
        f.write(text)


def lines(list, end="\n"):
    return "".join(line + "\n" for line in list) + end


out = st.StatsCSV(env, st.PERCENTILES_TO_REPORT)
for name, columns, rows in (
    ("stats.csv", out.requests_csv_columns, out._requests_data_rows),
    ("failures.csv", out.failures_columns, out._failures_data_rows),
    ("exceptions.csv", out.exceptions_columns, out._exceptions_data_rows),
):
    text = io.StringIO()
    writer = st.csv.writer(text)
    writer.writerow(columns)
    rows(writer)
    head, *rest = text.getvalue().split("\r\n")
    if name == "failures.csv":  # Locust sorts by a hash; Weir by name
        rest = sorted(rest[:-1]) + rest[-1:]
    write(name, "\r\n".join([head] + rest))

text = io.StringIO()
files = object.__new__(st.StatsCSVFileWriter)
st.StatsCSV.__init__(files, env, st.PERCENTILES_TO_REPORT)
files.full_history = False
writer = st.csv.writer(text)
writer.writerow(
    ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"]
    + st.get_readable_percentiles(st.PERCENTILES_TO_REPORT)
    + ["Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time"]
    + ["Total Min Response Time", "Total Max Response Time", "Total Average Content Size"]
)
files._stats_history_data_rows(writer, clock[0])
write("history.csv", text.getvalue())

write("table.txt", lines(st.get_stats_summary(stats, False)))
write("percent.txt", lines(st.get_percentile_stats_summary(stats)))
write("errors.txt", lines(st.get_error_report_summary(stats), ""))
st.STATS_NAME_WIDTH = 0  # a terminal of 80 columns
write("table-now.txt", lines(st.get_stats_summary(stats, True)))
write("stats.json", st.json.dumps(stats.serialize_stats(), indent=4, ensure_ascii=False) + "\n")
