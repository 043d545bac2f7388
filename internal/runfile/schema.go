package runfile

// applicationID marks an SQLite database as a run file: "Weir" in ASCII, in the
// header field that SQLite reserves for this purpose.
const applicationID = 0x57656972

// schemaVersion is the header field user_version. A reader refuses a file with
// a higher one. It goes up when an older reader would misread the file; columns
// and tables that are merely added do not change it.
const schemaVersion = 1

// schema is the whole of a run file. For a look from outside:
//
//	sqlite3 results.weir "SELECT tick, sent, admitted, throttled, failed FROM tick"
//
// Columns ending in _ns are nanoseconds; those that are instants count from the
// start of the run. Histograms (BLOB) are in the form of package hist, NULL where
// there is none; the percentiles beside them are for those who cannot read them.
// The rows of one tick are in the order of their rowid.
//
//	run      what was known at the start, by the names of Meta, and at the end, under "end"; JSON
//	tick     one second each; the counts are sums over its series; sends has the
//	         number of requests sent in each 10 ms, as varints
//	name     request names, for series
//	series   in one tick, the hits of one request name that ended alike; codes is
//	         a JSON array of [status, count]
//	code     a view: the codes, one row each
//	error    reasons for which hits failed; failure is a word of package hit
//	failed   how many hits failed in a tick for one of these reasons
//	watch    figures read from the system under test: where, which chart, what, and what its limit is called
//	watched  their readings; limit_value is NULL where there is none; refused is 1 when the
//	         source was too full to be asked. Files written before these two tables existed lack them
//	told     what each tick knows of limits: what headers told, contradictions, waits, work
//	         with retries; JSON, absent where there is nothing and from older files
//	event    what happened when
//	verdict  the conditions that were judged at the end
//	outbox   telemetry that has not been delivered yet, one row for each call; state is
//	         waiting, sending, doubtful (it may have arrived) or refused
//	delivery what became of the calls, by lane: a sink, or a part of one
//	carried  the latest tick of which everything is, or was, in the outbox, by sink. Files written
//	         before these two tables existed have nothing in their outbox
const schema = `
CREATE TABLE run (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tick (
	tick        INTEGER PRIMARY KEY,
	start_ns    INTEGER NOT NULL,
	length_ns   INTEGER NOT NULL,
	users       INTEGER NOT NULL,
	in_flight   INTEGER NOT NULL,
	due         INTEGER NOT NULL,
	sent        INTEGER NOT NULL,
	admitted    INTEGER NOT NULL,
	throttled   INTEGER NOT NULL,
	failed      INTEGER NOT NULL,
	missed      INTEGER NOT NULL,
	retried     INTEGER NOT NULL,
	cpu         REAL    NOT NULL,
	cores       INTEGER NOT NULL,
	gc_pause_ns INTEGER NOT NULL,
	goroutines  INTEGER NOT NULL,
	files       INTEGER NOT NULL,
	file_limit  INTEGER NOT NULL,
	heap_bytes  INTEGER NOT NULL,
	lost        INTEGER NOT NULL,
	sends       BLOB,
	send_lag    BLOB,
	wake_lag    BLOB,
	connect     BLOB
);

CREATE TABLE name (
	id     INTEGER PRIMARY KEY,
	method TEXT NOT NULL,
	name   TEXT NOT NULL
);

CREATE TABLE series (
	tick      INTEGER NOT NULL,
	name      INTEGER NOT NULL REFERENCES name (id),
	outcome   TEXT    NOT NULL,
	count     INTEGER NOT NULL,
	bytes_in  INTEGER NOT NULL,
	bytes_out INTEGER NOT NULL,
	first_ns  INTEGER NOT NULL,
	last_ns   INTEGER NOT NULL,
	p50_ns    INTEGER,
	p95_ns    INTEGER,
	p99_ns    INTEGER,
	max_ns    INTEGER,
	codes     TEXT    NOT NULL,
	response  BLOB,
	service   BLOB
);
CREATE INDEX series_tick ON series (tick);

CREATE VIEW code AS
	SELECT s.tick, n.method, n.name, s.outcome,
	       json_extract(j.value, '$[0]') AS status, json_extract(j.value, '$[1]') AS count
	FROM series s JOIN name n ON n.id = s.name, json_each(s.codes) j;

CREATE TABLE error (
	id      INTEGER PRIMARY KEY,
	method  TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	failure TEXT    NOT NULL,
	status  INTEGER NOT NULL,
	text    TEXT    NOT NULL
);

CREATE TABLE failed (
	tick     INTEGER NOT NULL,
	error    INTEGER NOT NULL REFERENCES error (id),
	count    INTEGER NOT NULL,
	first_ns INTEGER NOT NULL,
	last_ns  INTEGER NOT NULL
);
CREATE INDEX failed_tick ON failed (tick);

CREATE TABLE watch (
	id         INTEGER PRIMARY KEY,
	source     TEXT NOT NULL,
	chart      TEXT NOT NULL,
	name       TEXT NOT NULL,
	unit       TEXT NOT NULL,
	limit_name TEXT NOT NULL
);

CREATE TABLE watched (
	tick        INTEGER NOT NULL,
	watch       INTEGER NOT NULL REFERENCES watch (id),
	at_ns       INTEGER NOT NULL,
	value       REAL    NOT NULL,
	limit_value REAL,
	refused     INTEGER NOT NULL
);
CREATE INDEX watched_tick ON watched (tick);

CREATE TABLE told (
	tick   INTEGER PRIMARY KEY,
	limits TEXT NOT NULL
);

CREATE TABLE event (
	tick  INTEGER NOT NULL,
	at_ns INTEGER NOT NULL,
	kind  TEXT    NOT NULL,
	text  TEXT    NOT NULL,
	data  TEXT    NOT NULL
);
CREATE INDEX event_tick ON event (tick);

CREATE TABLE verdict (
	expr    TEXT    NOT NULL,
	verdict TEXT    NOT NULL,
	value   TEXT    NOT NULL,
	at_ns   INTEGER NOT NULL
);

CREATE TABLE outbox (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	lane     TEXT    NOT NULL,
	tick     INTEGER NOT NULL,
	items    INTEGER NOT NULL,
	body     BLOB    NOT NULL,
	state    TEXT    NOT NULL DEFAULT 'waiting',
	attempts INTEGER NOT NULL DEFAULT 0,
	error    TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX outbox_lane ON outbox (lane, id);

CREATE TABLE delivery (
	lane            TEXT PRIMARY KEY,
	calls           INTEGER NOT NULL DEFAULT 0,
	sent            INTEGER NOT NULL DEFAULT 0,
	items           INTEGER NOT NULL DEFAULT 0,
	wire            INTEGER NOT NULL DEFAULT 0,
	throttled       INTEGER NOT NULL DEFAULT 0,
	failed          INTEGER NOT NULL DEFAULT 0,
	ambiguous       INTEGER NOT NULL DEFAULT 0,
	resent          INTEGER NOT NULL DEFAULT 0,
	discarded       INTEGER NOT NULL DEFAULT 0,
	discarded_items INTEGER NOT NULL DEFAULT 0,
	took_ns         INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE carried (
	sink TEXT PRIMARY KEY,
	tick INTEGER NOT NULL
) WITHOUT ROWID;
`

// tables are the ones that reading needs; the others came later.
var tables = []string{"run", "tick", "name", "series", "error", "failed", "event", "verdict"}
