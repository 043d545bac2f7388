// Package postgres watches a PostgreSQL server: a Source reads, over one
// connection of its own, what a load tester wants to know of the database behind
// the service under test. That is connections against max_connections, locks and
// deadlocks, transactions, and which statements are slow.
//
// It reads the statistics views only, works from PostgreSQL 12 on, and wants no
// more than the role pg_monitor. A server that refuses its connection because it
// has too many is a finding, not an error.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

const (
	// statementTimeout is what the server allows a question; a little less than
	// the Watcher does, so that the connection outlives it.
	statementTimeout = watch.LookWithin - time.Second
	// tooMany is the SQLSTATE of a server, database or role that has no connection
	// left: PostgreSQL 18 documentation, appendix A, 2026-11-21.
	tooMany = "53300"
	// The time between two attempts to connect doubles up to the longest.
	firstRetry, longestRetry = 500 * time.Millisecond, 10 * time.Second
)

// Source is one PostgreSQL server. Open makes one.
type Source struct {
	name     string
	config   *pgx.ConnConfig
	conn     *pgx.Conn
	server   server
	known    bool // server has been read
	next     time.Time
	failures int
	failed   error // of the latest attempt to connect
	told     map[string]bool

	longIdle  time.Duration
	counters  counters
	deadlocks float64 // since the first look

	toldDeadlocks, toldWaiters float64 // as many as the latest event said
	lastBlame                  time.Time
	hadIdler                   bool
	refusing                   bool
	statements                 *statements
}

// server is what a connection says about its server once.
type server struct {
	version  int // 150018
	max      int // max_connections
	reserved int // for superusers, and from PostgreSQL 16 on for pg_use_reserved_connections
	user     string
	all      bool // may see what other users do
}

// usable is how many connections ordinary users can have.
func (s *server) usable() float64 { return float64(max(s.max-s.reserved, 1)) }

func (s *server) limitName() string {
	if s.reserved == 0 {
		return "max_connections"
	}
	return fmt.Sprintf("max_connections %d less %d reserved", s.max, s.reserved)
}

// Where says which server a URL means, without what is secret in it:
// "db.example:5432/sms".
func Where(rawURL string) (string, error) {
	config, err := parse(rawURL)
	if err != nil {
		return "", err
	}
	return config.Host + ":" + strconv.Itoa(int(config.Port)) + "/" + config.Database, nil
}

func parse(rawURL string) (*pgx.ConnConfig, error) {
	const form = "write postgres://user@host:5432/database?sslmode=verify-full"
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("not a URL of PostgreSQL: " + form) // what is in it may be secret
	}
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		var pe *pgconn.ParseConfigError
		reason := "it cannot be understood"
		if errors.As(err, &pe) && errors.Unwrap(pe) != nil {
			reason = errors.Unwrap(pe).Error()
		}
		password, _ := u.User.Password()
		return nil, fmt.Errorf("the URL of PostgreSQL: %s; %s", hide(reason, password), form)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "weir"
	}
	// The simple protocol leaves no prepared statements behind, so a pooler in
	// between does no harm.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.ConnectTimeout = watch.LookWithin
	return config, nil
}

// Open connects to the server of a URL (postgres://user:password@host:5432/database,
// with the parameters and environment variables of libpq) and calls it name. A
// server that has no connection left is no error: the Source goes on trying.
// Errors are one line and hold no secrets.
func Open(ctx context.Context, rawURL, name string) (*Source, error) {
	config, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	s := &Source{name: name, config: config, told: map[string]bool{}, longIdle: longIdle}
	if err := s.connect(ctx); err != nil && !refused(err) {
		return nil, fmt.Errorf("%s at %s:%d: %w", name, config.Host, config.Port, s.words(err))
	}
	return s, nil
}

// Name is the name given to Open.
func (s *Source) Name() string { return s.name }

// Close ends the connection.
func (s *Source) Close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // the server notices either way
	s.conn = nil
}

// connect opens the connection and reads what server holds.
func (s *Source) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return err
	}
	// Not as parameters of the connection, because poolers refuse those.
	_, err = conn.Exec(ctx, fmt.Sprintf("SET statement_timeout = %d; SET lock_timeout = 1000; SET default_transaction_read_only = on",
		statementTimeout.Milliseconds()))
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT /* weir */ current_setting('server_version_num')::int, current_setting('max_connections')::int,
			current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0),
			current_user::text, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')`).
			Scan(&s.server.version, &s.server.max, &s.server.reserved, &s.server.user, &s.server.all)
	}
	if err != nil {
		_ = conn.Close(ctx)
		return err
	}
	s.conn, s.known = conn, true
	return nil
}

// Sample reads the figures once. Without a connection it tries to get one, ever
// more seldom.
func (s *Source) Sample(ctx context.Context) (watch.Sample, error) {
	var out watch.Sample
	if s.conn != nil && s.conn.IsClosed() {
		s.conn = nil
	}
	if s.conn == nil {
		if time.Now().Before(s.next) {
			return out, s.failed
		}
		if err := s.connect(ctx); err != nil {
			return s.notConnected(err)
		}
	}
	s.failures, s.failed, s.refusing = 0, nil, false
	err := s.look(ctx, &out)
	if err != nil {
		if s.conn.IsClosed() {
			s.conn = nil
		}
		s.counters.forget()
		return out, s.words(err)
	}
	return out, nil
}

// notConnected turns a refusal into a reading and anything else into a pause.
func (s *Source) notConnected(err error) (watch.Sample, error) {
	var out watch.Sample
	s.counters.forget()
	if refused(err) {
		s.next, s.failed = time.Now().Add(firstRetry), nil
		r := tally.Watched{Group: "connections", Name: "connections", Refused: true}
		if s.known {
			r.Value, r.Limit, r.LimitName = s.server.usable(), s.server.usable(), s.server.limitName()
		}
		out.Readings = append(out.Readings, r)
		if !s.refusing {
			s.refusing = true
			out.Events = append(out.Events, "it refuses further connections: "+s.words(err).Error())
		}
		return out, nil
	}
	s.failures++
	s.failed = s.words(err)
	s.next = time.Now().Add(min(firstRetry<<min(s.failures, 10), longestRetry))
	return out, s.failed
}

// refused says that the server has no connection left for this user.
func refused(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == tooMany
}

// once adds an event the first time.
func (s *Source) once(out *watch.Sample, text string) {
	if !s.told[text] {
		s.told[text] = true
		out.Events = append(out.Events, text)
	}
}

// words makes one line for people of an error.
func (s *Source) words(err error) error {
	var pe *pgconn.PgError
	text := ""
	switch {
	case errors.As(err, &pe):
		text = pe.Message + " (SQLSTATE " + pe.Code + ")"
		if strings.HasPrefix(pe.Code, "28") {
			text += "; give the password in the URL that --watch-env names, or in PGPASSWORD"
		}
	case errors.Is(err, context.DeadlineExceeded):
		text = "it did not answer in time"
	default:
		if text = reason(err); text == "" {
			text = err.Error()
		}
	}
	return errors.New(hide(oneLine(text, 300), s.config.Password))
}
