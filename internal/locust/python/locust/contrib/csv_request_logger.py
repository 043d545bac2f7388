"""A CSV file with a line for each request."""

import csv
import time

CSV_COLUMNS = (
    "timestamp",
    "request_type",
    "name",
    "response_time_ms",
    "response_length",
    "status_code",
    "exception",
)


class CsvRequestLogger:
    """Writes filepath anew from register on; every flush_interval lines reach the disk together."""

    def __init__(self, filepath, *, flush_interval=1):
        self.filepath = filepath
        self.flush_interval = max(1, flush_interval)
        self._file = None
        self._rows = None
        self._pending = 0

    def register(self, environment):
        """Begins to listen. Called once, in an init listener."""
        environment.events.request.add_listener(self._on_request)
        environment.events.quitting.add_listener(self._on_quitting)
        self.close()
        self._file = open(self.filepath, "w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(CSV_COLUMNS)
        self._file.flush()

    def close(self):
        """Writes what is pending. May be called again."""
        if self._file is not None:
            self._file.close()
        self._file = self._rows = None
        self._pending = 0

    def _on_request(
        self,
        *,
        request_type,
        name,
        response_time,
        response_length,
        exception=None,
        response=None,
        start_time=None,
        **_,
    ):
        if self._rows is None:
            return
        try:
            status = int(response.status_code)
        except (AttributeError, TypeError, ValueError):
            status = 0
        self._rows.writerow(
            [
                round(time.time() if start_time is None else start_time, 6),
                request_type,
                name,
                "" if response_time is None else round(response_time, 2),
                response_length,
                status,
                "" if exception is None else str(exception),
            ]
        )
        self._pending += 1
        if self._pending >= self.flush_interval:
            self._file.flush()
            self._pending = 0

    def _on_quitting(self, **_):
        self.close()
