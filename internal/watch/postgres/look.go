package postgres

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

// figure is one column of the question that is asked at every look.
type figure struct {
	group, name, unit string
	sql               string
	rate              bool // the column counts up; the figure is its growth per second
	hidden            bool // not a figure itself
}

// The columns of pg_stat_activity (a) are of client connections of all
// databases, for they share max_connections; the server's other processes do not
// count against it. Weir's own is in the first one only. Those of
// pg_stat_database (d) are of the database of the URL: PostgreSQL 18
// documentation, 27.2, 2026-11-21.
const (
	colTime = iota
	colReset
	colHits
	colReads
	colDeadlocks
	colWaiting
	colOldestIdle
	colAll
)

// figures begins with the columns named above, in that order.
func figures() []figure {
	return []figure{
		{sql: "extract(epoch FROM clock_timestamp())", hidden: true},
		{sql: "coalesce(extract(epoch FROM d.stats_reset), 0)", hidden: true},
		{sql: "d.blks_hit", hidden: true},
		{sql: "d.blks_read", hidden: true},
		{sql: "d.deadlocks", hidden: true},
		{group: "connections", name: "waiting for a lock", sql: "a.waiting"},
		{group: "longest time", name: "idle in transaction", unit: "s", sql: "a.oldest_idle"},
		{group: "connections", name: "connections", sql: "a.total"},
		{group: "connections", name: "active", sql: "a.active"},
		{group: "connections", name: "idle", sql: "a.idle"},
		{group: "connections", name: "idle in transaction", sql: "a.in_transaction"},
		{group: "longest time", name: "transaction", unit: "s", sql: "a.oldest_transaction"},
		{group: "longest time", name: "wait for a lock", unit: "s", sql: "a.oldest_wait"},
		{group: "locks", name: "locks not granted", sql: "(SELECT count(*) FROM pg_locks WHERE NOT granted)"},
		{group: "transactions", name: "committed", unit: "/s", sql: "d.xact_commit", rate: true},
		{group: "transactions", name: "rolled back", unit: "/s", sql: "d.xact_rollback", rate: true},
		{group: "rows", name: "read in scans", unit: "/s", sql: "d.tup_returned", rate: true},
		{group: "rows", name: "fetched by index", unit: "/s", sql: "d.tup_fetched", rate: true},
		{group: "rows", name: "inserted", unit: "/s", sql: "d.tup_inserted", rate: true},
		{group: "rows", name: "updated", unit: "/s", sql: "d.tup_updated", rate: true},
		{group: "rows", name: "deleted", unit: "/s", sql: "d.tup_deleted", rate: true},
		{group: "temporary files", name: "written", unit: "bytes/s", sql: "d.temp_bytes", rate: true},
	}
}

// question is the statement of one look. It is one, so that the figures are of
// one instant and Weir adds one transaction a second to those it counts.
func question(list []figure) string {
	var columns []string
	for _, f := range list {
		columns = append(columns, "("+f.sql+")::float8")
	}
	return `SELECT /* weir */ ` + strings.Join(columns, ", ") + `
FROM (SELECT count(*) AS total,
	count(*) FILTER (WHERE state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock' AND pid <> pg_backend_pid()) AS active,
	count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
	count(*) FILTER (WHERE state = 'idle') AS idle,
	count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS in_transaction,
	coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE pid <> pg_backend_pid()), 0) AS oldest_transaction,
	coalesce(max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE state LIKE 'idle in transaction%'), 0) AS oldest_idle,
	coalesce(max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (WHERE wait_event_type = 'Lock'), 0) AS oldest_wait
	FROM pg_stat_activity
	WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend') a,
	(SELECT * FROM pg_stat_database WHERE datname = current_database()) d`
}

// counters are the columns of the look before, for what counts up.
type counters struct{ values []float64 }

func (c *counters) forget() { c.values = nil }

// look asks everything once. What it finds before an error is in out.
func (s *Source) look(ctx context.Context, out *watch.Sample) error {
	list := figures()
	now := make([]float64, len(list))
	to := make([]any, len(list))
	for i := range now {
		to[i] = &now[i]
	}
	if err := s.conn.QueryRow(ctx, question(list)).Scan(to...); err != nil {
		return err
	}
	s.hint(out)
	s.gauges(list, now, out)
	s.growth(list, now, out)
	s.counters.values = now
	if err := s.replication(ctx, out); err != nil {
		return err
	}
	if err := s.blame(ctx, now, out); err != nil {
		return err
	}
	return s.begin(ctx, out)
}

// hint says once what a further right would show.
func (s *Source) hint(out *watch.Sample) {
	if !s.server.all {
		s.once(out, fmt.Sprintf("what other users' connections do is hidden from user %s: GRANT pg_monitor TO %s", s.server.user, s.server.user))
	}
}

func (s *Source) gauges(list []figure, now []float64, out *watch.Sample) {
	for i, f := range list {
		if f.hidden || f.rate || !s.server.all && (f.group == "longest time" || f.group == "connections" && i != colAll) {
			continue // unknown, which is not zero
		}
		r := tally.Watched{Group: f.group, Name: f.name, Unit: f.unit, Value: max(now[i], 0)}
		if i == colAll {
			r.Limit, r.LimitName = s.server.usable(), s.server.limitName()
		}
		out.Readings = append(out.Readings, r)
	}
}

// growth adds what counts up. It is missing after the first look, a break, or a
// reset of the server's statistics.
func (s *Source) growth(list []figure, now []float64, out *watch.Sample) {
	before := s.counters.values
	add := func(group, name, unit string, v float64) {
		out.Readings = append(out.Readings, tally.Watched{Group: group, Name: name, Unit: unit, Value: v})
	}
	if before == nil {
		add("locks", "deadlocks since the start", "", s.deadlocks)
		return
	}
	seconds := now[colTime] - before[colTime]
	if seconds <= 0 || now[colReset] != before[colReset] {
		return
	}
	grown := func(i int) float64 {
		d := now[i] - before[i]
		if d < 0 {
			return math.NaN() // a crash reset it
		}
		return d
	}
	for i, f := range list {
		if d := grown(i); f.rate && !math.IsNaN(d) {
			add(f.group, f.name, f.unit, d/seconds)
		}
	}
	if hits, reads := grown(colHits), grown(colReads); hits+reads > 0 {
		add("cache", "hit ratio", "%", 100*hits/(hits+reads))
	}
	if d := grown(colDeadlocks); d > 0 {
		s.deadlocks += d
		if s.deadlocks >= 2*s.toldDeadlocks { // the chart has every one
			s.toldDeadlocks = s.deadlocks
			what := fmt.Sprintf("%.0f deadlocks so far, each ended", s.deadlocks)
			if s.deadlocks == 1 {
				what = "a deadlock, ended"
			}
			out.Events = append(out.Events, what+" by cancelling a transaction")
		}
	}
	add("locks", "deadlocks since the start", "", s.deadlocks)
}

// replication adds the lag of standbys, or of this server when it is one. Not
// every service that speaks PostgreSQL has these views, and few need them.
func (s *Source) replication(ctx context.Context, out *watch.Sample) error {
	const what = "replication"
	if s.told[what] {
		return nil
	}
	var lag *float64
	err := s.conn.QueryRow(ctx, `SELECT /* weir */ (CASE WHEN pg_is_in_recovery() THEN
		CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
		ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END
		ELSE (SELECT max(coalesce(extract(epoch FROM replay_lag), 0)) FROM pg_stat_replication WHERE state = 'streaming') END)::float8`).Scan(&lag)
	switch {
	case err != nil && s.conn.IsClosed():
		return err
	case err != nil:
		s.told[what] = true
		out.Events = append(out.Events, "the lag of replication is not known: "+s.words(err).Error())
	case lag != nil:
		out.Readings = append(out.Readings, tally.Watched{Group: what, Name: "lag", Unit: "s", Value: max(*lag, 0)})
	}
	return nil
}

const (
	// blameEvery is the least time between two questions for who blocks whom, which
	// takes locks on the server's table of locks. Sooner it is asked again only when
	// twice as many sessions wait.
	blameEvery = 30 * time.Second
	// longIdle is from when on a transaction that does nothing is worth an event.
	longIdle = 5 * time.Second
)

// blame says who waits for whom when somebody begins to wait, and which session
// sits idle in a transaction.
func (s *Source) blame(ctx context.Context, now []float64, out *watch.Sample) error {
	waiters, idler := now[colWaiting], now[colOldestIdle] >= s.longIdle.Seconds()
	if waiters > 0 && (waiters >= 2*s.toldWaiters || time.Since(s.lastBlame) >= blameEvery) {
		s.lastBlame, s.toldWaiters = time.Now(), waiters
		text, err := s.line(ctx, waitersQuestion, func(v []string) string {
			return fmt.Sprintf("%s waiting for a lock; session %s has waited %s for session %s, which is %s. Waiting: %s. Holding: %s",
				sessions(now[colWaiting]), v[0], v[1]+"s", v[3], v[4], withoutValues(v[2]), withoutValues(v[5]))
		})
		if err != nil {
			return err
		}
		if text != "" {
			out.Events = append(out.Events, text)
		}
	}
	if idler && !s.hadIdler {
		text, err := s.line(ctx, idlerQuestion, func(v []string) string {
			return fmt.Sprintf("session %s%s has been idle in a transaction for %ss, with its locks; its last statement: %s",
				v[0], application(v[3]), v[1], withoutValues(v[2]))
		})
		if err != nil {
			return err
		}
		if text != "" {
			out.Events = append(out.Events, text)
		}
	}
	s.hadIdler = idler
	return nil
}

const (
	waitersQuestion = `SELECT /* weir */ w.pid::text, round(extract(epoch FROM clock_timestamp() - w.query_start)::numeric, 1)::text, w.query,
		b.pid::text, coalesce(b.state, 'unknown'), coalesce(b.query, '')
		FROM pg_stat_activity w, LATERAL unnest(pg_blocking_pids(w.pid)) AS p (pid) JOIN pg_stat_activity b ON b.pid = p.pid
		WHERE w.wait_event_type = 'Lock' ORDER BY w.query_start, (b.wait_event_type IS NOT DISTINCT FROM 'Lock') LIMIT 1`
	idlerQuestion = `SELECT /* weir */ pid::text, round(extract(epoch FROM clock_timestamp() - state_change)::numeric, 1)::text, query, application_name
		FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' ORDER BY state_change LIMIT 1`
)

// line asks for one row of texts and makes a sentence of it, "" when there is none.
func (s *Source) line(ctx context.Context, sql string, words func([]string) string) (string, error) {
	rows, err := s.conn.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	text := ""
	for rows.Next() {
		v := make([]string, len(rows.FieldDescriptions()))
		to := make([]any, len(v))
		for i := range v {
			to[i] = &v[i]
		}
		if err := rows.Scan(to...); err != nil {
			return "", err
		}
		text = words(v)
	}
	return text, rows.Err()
}

func sessions(n float64) string {
	if n == 1 {
		return "1 session is"
	}
	return fmt.Sprintf("%.0f sessions are", n)
}

// application names the program of a session, when it gave a name.
func application(name string) string {
	if name == "" {
		return ""
	}
	return " of " + oneLine(name, 40)
}
