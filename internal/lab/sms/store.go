package sms

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/weir-dev/weir/internal/lab/stand"
)

// store is the database, PostgreSQL or SQLite, by the same statements.
//
// With SQLite there is one connection, and statements take turns on it, for
// microseconds each; slots are what Config.Pool bounds, so that the pool, the slow
// query and the lock behave as with PostgreSQL.
type store struct {
	db       *sql.DB
	postgres bool

	slots   chan struct{} // holds one token per request at work
	timeout time.Duration
	slow    time.Duration
	hold    time.Duration
	gate    chan struct{} // with SQLite: the locked row
}

// querier is what a pool, a connection and a transaction have in common.
type querier interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// errPool is a connection that did not come in time.
var errPool = errors.New("no connection of the pool became free in time")

// openStore connects and makes the tables. An error never shows the URL.
func openStore(ctx context.Context, c *Config) (*store, error) {
	s := &store{slots: make(chan struct{}, c.Pool), timeout: c.PoolTimeout, slow: c.SlowQuery, hold: c.Lock, gate: make(chan struct{}, 1)}
	var err error
	types := sqliteTypes
	if strings.HasPrefix(c.Database, "postgres://") || strings.HasPrefix(c.Database, "postgresql://") {
		s.postgres, types = true, postgresTypes
		cfg, err := pgx.ParseConfig(c.Database)
		if err != nil {
			return nil, errors.New("database: want a URL such as postgres://user:password@127.0.0.1:5432/weir (not shown: it may have a password)")
		}
		s.db = stdlib.OpenDB(*cfg)
		s.db.SetMaxOpenConns(c.Pool)
		s.db.SetMaxIdleConns(c.Pool)
	} else {
		if s.db, err = sql.Open("sqlite", sqliteName(c.Database)); err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		s.db.SetMaxOpenConns(1) // in memory, another connection would be another database
		s.db.SetConnMaxIdleTime(0)
	}
	for _, statement := range schema {
		if _, err := s.db.ExecContext(ctx, types.Replace(statement)); err != nil {
			return nil, errors.Join(fmt.Errorf("database: making its tables: %w", plainError(err)), s.db.Close())
		}
	}
	return s, nil
}

// sqliteName is the driver's name of a file, or of a database in memory. What a
// crash of the machine loses does not matter here.
func sqliteName(path string) string {
	const pragmas = "_time_format=sqlite&_pragma=foreign_keys(1)&_pragma=synchronous(OFF)"
	if path == "" {
		return "file::memory:?" + pragmas
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas + "&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
}

// plainError drops what pgx says about how it connected, which names the user and
// the host; it masks passwords itself.
func plainError(err error) error {
	var c *pgconn.ConnectError
	if errors.As(err, &c) {
		return fmt.Errorf("cannot connect: %w", c.Unwrap())
	}
	return err
}

// lease is a request's connection, from its first query to its answer.
type lease struct {
	s    *store
	conn *sql.Conn // PostgreSQL's
	q    querier
}

// lease waits for a connection.
func (s *store) lease(ctx context.Context) (*lease, error) {
	t := time.NewTimer(s.timeout)
	defer t.Stop()
	select {
	case s.slots <- struct{}{}:
	default:
		select {
		case s.slots <- struct{}{}:
		case <-t.C:
			return nil, errPool
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l := &lease{s: s, q: s.db}
	if s.postgres {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			<-s.slots
			return nil, err
		}
		l.conn, l.q = conn, conn
	}
	return l, nil
}

// release gives the connection back. It can be called twice.
func (l *lease) release() {
	if l == nil || l.s == nil {
		return
	}
	if l.conn != nil {
		_ = l.conn.Close() // puts it back into the pool
	}
	<-l.s.slots
	l.s = nil
}

// sql writes a statement for the database at hand: ? is PostgreSQL's $n there.
func (s *store) sql(statement string) string {
	if !s.postgres {
		return strings.ReplaceAll(statement, " FOR UPDATE", "")
	}
	var b strings.Builder
	n := 0
	for _, c := range statement {
		if c == '?' {
			n++
			fmt.Fprintf(&b, "$%d", n)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// ctx is what a statement runs under. SQLite's are not interrupted: they are
// short, and the driver may give up the connection, which in memory is the data.
func (s *store) ctx(ctx context.Context) context.Context {
	if s.postgres {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

func (l *lease) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	r, err := l.q.ExecContext(l.s.ctx(ctx), l.s.sql(statement), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row reads one row: false when there is none.
func (l *lease) row(ctx context.Context, statement string, args []any, into ...any) (bool, error) {
	err := l.q.QueryRowContext(l.s.ctx(ctx), l.s.sql(statement), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// insert returns the new row's id.
func (l *lease) insert(ctx context.Context, statement string, args ...any) (id int64, err error) {
	_, err = l.row(ctx, statement+" RETURNING id", args, &id)
	return id, err
}

// all reads rows into values of one kind.
func all[T any](ctx context.Context, l *lease, statement string, args []any, into func(*T) []any) (list []T, err error) {
	rows, err := l.q.QueryContext(l.s.ctx(ctx), l.s.sql(statement), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var v T
		if err := rows.Scan(into(&v)...); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// transaction runs do in a transaction, with SQLite without one: there do has to
// undo what it did when it fails.
func (l *lease) transaction(ctx context.Context, do func() error) error {
	if l.conn == nil {
		return do()
	}
	tx, err := l.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	l.q = tx
	defer func() { l.q = l.conn }()
	if err := do(); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// ignoreDone: a transaction whose context has ended has been rolled back already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// lockGateway holds the row that all sends share, for the configured time. The
// result gives it back; in PostgreSQL the end of the transaction does.
func (l *lease) lockGateway(ctx context.Context) (unlock func(), err error) {
	unlock = func() {}
	if l.s.hold == 0 {
		return unlock, nil
	}
	if l.s.postgres {
		var id int64
		if _, err := l.row(ctx, `SELECT id FROM sms_gateway WHERE id = ? FOR UPDATE`, []any{1}, &id); err != nil {
			return unlock, err
		}
	} else {
		select {
		case l.s.gate <- struct{}{}:
			unlock = func() { <-l.s.gate }
		case <-ctx.Done():
			return unlock, ctx.Err()
		}
	}
	if !stand.Wait(ctx, l.s.hold) {
		unlock()
		return func() {}, ctx.Err()
	}
	return unlock, nil
}
