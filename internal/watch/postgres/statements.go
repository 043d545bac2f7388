package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

const (
	// mostStatements is how many statements are listed.
	mostStatements = 10
	// getStatements says how to get the extension: PostgreSQL 18 documentation, F.32, 2026-11-21.
	getStatements = "shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, a restart, then CREATE EXTENSION pg_stat_statements"
)

// statements reads the extension pg_stat_statements.
type statements struct {
	view   string // the function, with its schema
	time   string // the column of the time: it was renamed in PostgreSQL 13
	before map[int64]spent
}

// spent is what a kind of statement has cost so far.
type spent struct {
	calls, rows int64
	ms          float64
}

// begin remembers what statements had cost before the run. It says once when
// there is nothing to remember.
func (s *Source) begin(ctx context.Context, out *watch.Sample) error {
	const asked = "statements"
	if s.told[asked] {
		return nil
	}
	st, err := s.findStatements(ctx)
	if err == nil && st != nil {
		st.before, err = st.snapshot(ctx, s.conn)
	}
	if err != nil && s.conn.IsClosed() {
		return err // next time
	}
	s.told[asked] = true
	switch {
	case err != nil:
		out.Events = append(out.Events, "slow statements are not known: "+s.words(err).Error()+getIt(err))
	case st == nil:
		out.Events = append(out.Events, "slow statements are not known without pg_stat_statements: "+getStatements)
	default:
		s.statements = st
	}
	return nil
}

// getIt adds how to load the extension when it is there but not loaded.
func getIt(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "55000" {
		return "; " + getStatements
	}
	return ""
}

// findStatements returns nil when the extension is not in this database.
func (s *Source) findStatements(ctx context.Context) (*statements, error) {
	var schema string
	var renamed bool
	err := s.conn.QueryRow(ctx, `SELECT /* weir */ quote_ident(n.nspname), EXISTS (
			SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
			WHERE c.relname = 'pg_stat_statements' AND c.relnamespace = n.oid AND a.attname = 'total_exec_time')
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`).Scan(&schema, &renamed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st := &statements{view: schema + ".pg_stat_statements", time: "total_time"}
	if renamed {
		st.time = "total_exec_time"
	}
	return st, nil
}

// snapshot reads the cost of every kind of statement, without its text.
func (st *statements) snapshot(ctx context.Context, conn *pgx.Conn) (map[int64]spent, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT /* weir */ queryid, sum(calls)::bigint, sum(rows)::bigint, sum(%s)::float8 FROM %s(false)
		WHERE queryid IS NOT NULL AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY queryid`, st.time, st.view))
	if err != nil {
		return nil, err
	}
	all := map[int64]spent{}
	var id int64
	var c spent
	_, err = pgx.ForEachRow(rows, []any{&id, &c.calls, &c.rows, &c.ms}, func() error {
		all[id] = c
		return nil
	})
	return all, err
}

// Statements returns what the database was busy with since the first look: the
// statements that took longest for a call, with their text without values. It
// returns none when the extension is not there.
func (s *Source) Statements(ctx context.Context) ([]tally.Statement, error) {
	st := s.statements
	if st == nil {
		return nil, nil
	}
	if s.conn == nil || s.conn.IsClosed() {
		if err := s.connect(ctx); err != nil {
			return nil, fmt.Errorf("slow statements are not known: %w", s.words(err))
		}
	}
	now, err := st.snapshot(ctx, s.conn)
	if err != nil {
		return nil, fmt.Errorf("slow statements are not known: %w", s.words(err))
	}
	list := grown(st.before, now)
	// Weir's own are among them, and can be told by their text only.
	list = list[:min(len(list), 3*mostStatements)]
	if err := st.texts(ctx, s.conn, list); err != nil {
		return nil, fmt.Errorf("slow statements are not known: %w", s.words(err))
	}
	list = slices.DeleteFunc(list, func(x tally.Statement) bool { return x.Text == "" })
	return list[:min(len(list), mostStatements)], nil
}

// grown is the difference of two snapshots, the longest mean first. What costs
// less than before was reset in between, and began again from nothing.
func grown(before, now map[int64]spent) []tally.Statement {
	var list []tally.Statement
	for id, n := range now {
		if b := before[id]; b.calls <= n.calls && b.ms <= n.ms {
			n.calls, n.rows, n.ms = n.calls-b.calls, n.rows-b.rows, n.ms-b.ms
		}
		if n.calls > 0 {
			list = append(list, tally.Statement{ID: fmt.Sprint(id), Calls: n.calls, Rows: max(n.rows, 0), Time: time.Duration(n.ms * float64(time.Millisecond))})
		}
	}
	slices.SortFunc(list, func(a, b tally.Statement) int {
		return cmp.Or(cmp.Compare(b.Mean(), a.Mean()), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// texts fills in what the statements were; it leaves Weir's own without.
func (st *statements) texts(ctx context.Context, conn *pgx.Conn, list []tally.Statement) error {
	if len(list) == 0 {
		return nil
	}
	var ids []string
	for i := range list {
		ids = append(ids, list[i].ID)
	}
	rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT /* weir */ queryid::text, min(left(query, 2000)) FROM %s(true) WHERE queryid IN (%s) GROUP BY queryid`,
		st.view, strings.Join(ids, ",")))
	if err != nil {
		return err
	}
	text := map[string]string{}
	var id string
	var sql *string
	_, err = pgx.ForEachRow(rows, []any{&id, &sql}, func() error {
		switch {
		case sql == nil:
			text[id] = "(its text is not readable for this user)"
		case !strings.Contains(*sql, "/* weir */"):
			text[id] = withoutValues(*sql)
		}
		return nil
	})
	for i := range list {
		list[i].Text = text[list[i].ID]
	}
	return err
}
