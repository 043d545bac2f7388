//go:build unix

package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/watch"
)

const (
	maxConnections = 12 // 3 of them for superusers
	usable         = 9
	rolePassword   = "pa/ss word&1"
)

// database is a PostgreSQL server of the tests' own, in a directory of its own.
type database struct {
	bin, dir string
	port     int
	as       *syscall.Credential // nil: as we are
}

// shared starts the one server of this package when the first test wants it.
type shared struct {
	once sync.Once
	db   *database
	err  error
}

var server1 = &shared{}

func TestMain(m *testing.M) {
	code := m.Run()
	if db := server1.db; db != nil {
		if err := db.control("stop", "-m", "immediate"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if err := os.RemoveAll(db.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := leaks.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// needServer returns the server, which runs and has no clients.
func needServer(t *testing.T) *database {
	t.Helper()
	bin := findServer()
	if bin == "" {
		const why = "no PostgreSQL server is installed here (Debian: apt-get install postgresql)"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip("skipped: " + why)
	}
	server1.once.Do(func() { server1.db, server1.err = newDatabase(bin) })
	if server1.err != nil {
		t.Fatal(server1.err)
	}
	return server1.db
}

// findServer returns the directory with the newest initdb, "" when there is none.
func findServer() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) }) // 15 before 9.6
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			found = append(found, p)
		}
	}
	for _, p := range found {
		if _, err := os.Stat(filepath.Join(filepath.Dir(p), "pg_ctl")); err == nil {
			return filepath.Dir(p)
		}
	}
	return ""
}

func newDatabase(bin string) (*database, error) {
	dir, err := os.MkdirTemp("", "weir-postgres-")
	if err != nil {
		return nil, err
	}
	db := &database{bin: bin, dir: dir}
	if os.Getuid() == 0 { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		db.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	db.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	if err := db.command("initdb", "-D", db.data(), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "-N"); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("listen_addresses='127.0.0.1'\nport=%d\nunix_socket_directories=''\nmax_connections=%d\nfsync=off\n"+
		"deadlock_timeout='50ms'\nshared_preload_libraries='pg_stat_statements'\nmax_wal_senders=0\nwal_level=minimal\nautovacuum=off\n", db.port, maxConnections)
	if err := db.write("postgresql.auto.conf", settings); err != nil {
		return nil, err
	}
	if err := db.write("pg_hba.conf", "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"); err != nil {
		return nil, err
	}
	if err := db.control("start"); err != nil {
		return nil, err
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.url("postgres", "postgres"))
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		"CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor",
		"CREATE ROLE plain LOGIN",
		"CREATE ROLE app LOGIN",
		"CREATE ROLE guarded LOGIN PASSWORD '" + rolePassword + "'",
		"CREATE DATABASE sms OWNER app",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	if err := conn.Close(ctx); err != nil {
		return nil, err
	}
	if conn, err = pgx.Connect(ctx, db.url("postgres", "sms")); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "CREATE EXTENSION pg_stat_statements; CREATE TABLE account (id int PRIMARY KEY, owner text); INSERT INTO account SELECT i, 'x' FROM generate_series(1, 100) i; ALTER TABLE account OWNER TO app"); err != nil {
		return nil, err
	}
	return db, conn.Close(ctx)
}

func (db *database) data() string { return filepath.Join(db.dir, "data") }

// write replaces a file of the server, keeping its owner.
func (db *database) write(name, text string) error {
	return os.WriteFile(filepath.Join(db.data(), name), []byte(text), 0o600)
}

func (db *database) command(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(db.bin, name), args...)
	cmd.Dir = db.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: db.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (db *database) control(verb string, args ...string) error {
	return db.command("pg_ctl", append([]string{verb, "-w", "-s", "-D", db.data(), "-l", filepath.Join(db.dir, "log")}, args...)...)
}

func (db *database) url(role, name string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", role, db.port, name)
}

// open makes a Source which is closed at the end of the test.
func (db *database) open(t *testing.T, role string) *Source {
	t.Helper()
	s, err := Open(t.Context(), db.url(role, "sms"), "PostgreSQL")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// client is a connection of the service under test.
func (db *database) client(t *testing.T, role string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.url(role, "sms"))
	if err != nil {
		t.Fatalf("connect as %s: %v", role, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// exec carries out each statement.
func exec1(t *testing.T, conn *pgx.Conn, sql ...string) {
	t.Helper()
	for _, q := range sql {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// sample looks once and fails the test on an error.
func sample(t *testing.T, s *Source) watch.Sample {
	t.Helper()
	out, err := s.Sample(t.Context())
	if err != nil {
		t.Fatalf("Sample: %v", err)
	}
	return out
}

// until looks again and again until the figures are as wanted, and returns that
// look with the events of all.
func until(t *testing.T, s *Source, what string, good func(watch.Sample) bool) watch.Sample {
	t.Helper()
	var events []string
	for deadline := time.Now().Add(2 * time.Minute); ; {
		out, err := s.Sample(t.Context())
		events = append(events, out.Events...)
		if err == nil && good(out) {
			out.Events = events
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("no look shows %s; the latest: %+v, %v", what, out, err)
		}
		time.Sleep(20 * time.Millisecond) // not to be a load of its own
	}
}
