//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

// quiet waits until the server has no client but s.
func quiet(t *testing.T, s *Source) {
	t.Helper()
	until(t, s, "no clients", func(x watch.Sample) bool { return value(x, "connections", "connections") == 1 })
}

// TestConnectionsNearTheirLimit opens one connection a second, in the run's time,
// and wants the second in which the server was full.
func TestConnectionsNearTheirLimit(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	quiet(t, s)
	var totals tally.Totals
	tick := func(i int) {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		for _, r := range sample(t, s).Readings {
			r.At, r.Source = k.Start, s.Name()
			k.Watched = append(k.Watched, r)
		}
		totals.Add(k)
	}
	i := 0
	for ; i < usable; i++ { // Weir's own is the first connection
		tick(i)
		if i < usable-1 {
			db.client(t, "app")
		}
	}
	for range 3 {
		tick(i)
		i++
	}
	if _, err := pgconn.Connect(t.Context(), db.url("app", "sms")); !refused(err) {
		t.Fatalf("one more connection: %v, want a refusal: the test does not fill the server", err)
	}
	var full []*tally.WatchedTotals
	for _, w := range totals.Watched() {
		if len(w.Saturations()) > 0 {
			full = append(full, w)
		}
	}
	if len(full) != 1 || full[0].Name != "connections" {
		t.Fatalf("saturated: %v, want the connections alone", full)
	}
	got := full[0].Saturations()[0]
	if got.From != (usable-1)*time.Second || got.Peak != usable || got.Limit != usable {
		t.Errorf("saturated from %v with %v of %v, want from %v with %d of %d", got.From, got.Peak, got.Limit, (usable-1)*time.Second, usable, usable)
	}
	if want := "max_connections 12 less 3 reserved"; full[0].LimitName != want {
		t.Errorf("the limit is called %q, want %q", full[0].LimitName, want)
	}
}

// TestTooManyClients loses the connection of the watch while the server is full.
func TestTooManyClients(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	quiet(t, s)
	for range usable - 1 {
		db.client(t, "app")
	}
	root := db.client(t, "postgres") // takes the place of the watch
	exec1(t, root, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'weir'")
	if _, err := s.Sample(t.Context()); err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Errorf("Sample after the end of its connection: %v, want the reason 57P01", err)
	}
	out := sample(t, s)
	r, ok := find(out, "connections", "connections")
	if !ok || !r.Refused || r.Value != usable || r.Limit != usable || len(out.Readings) != 1 {
		t.Errorf("readings %+v, want one refusal at %d of %d", out.Readings, usable, usable)
	}
	if len(out.Events) != 1 || !strings.Contains(out.Events[0], "refuses further connections: ") || !strings.Contains(out.Events[0], "53300") {
		t.Errorf("events %q, want the refusal", out.Events)
	}
	if late, err := Open(t.Context(), db.url("monitor", "sms"), "late"); err != nil {
		t.Errorf("Open of a full server: %v, want a source that goes on trying", err)
	} else if out := sample(t, late); len(out.Readings) != 1 || !out.Readings[0].Refused || out.Readings[0].Limit != 0 {
		t.Errorf("readings %+v, want one refusal without a limit", out.Readings)
	}
	if err := root.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	back := until(t, s, "the connections again", func(x watch.Sample) bool { return value(x, "connections", "idle") > 0 })
	for _, e := range back.Events {
		if strings.Contains(e, "refuses") {
			t.Errorf("the refusal is said again: %q", e)
		}
	}
}

func TestIdleInTransaction(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	s.longIdle = 100 * time.Millisecond
	app := db.client(t, "app")
	exec1(t, app, "SET application_name = 'web'", "BEGIN", "UPDATE account SET owner = 'Frau Geheim' WHERE id = 7")
	out := until(t, s, "a long idle transaction", func(x watch.Sample) bool { return value(x, "longest time", "idle in transaction") > 0.3 })
	if n := value(out, "connections", "idle in transaction"); n != 1 {
		t.Errorf("%v connections idle in transaction, want 1", n)
	}
	if a, b := value(out, "longest time", "transaction"), value(out, "longest time", "idle in transaction"); a < b {
		t.Errorf("the longest transaction is %v s, shorter than it was idle, %v s", a, b)
	}
	events := strings.Join(out.Events, "\n")
	if !strings.Contains(events, "of web has been idle in a transaction for ") || !strings.Contains(events, "UPDATE account SET owner = ? WHERE id = ?") {
		t.Errorf("events %q, want the session with its statement", events)
	}
	if strings.Contains(events, "Geheim") {
		t.Errorf("events %q show a value", events)
	}
	if strings.Count(events, "idle in a transaction") != 1 {
		t.Errorf("events %q, want it said once", events)
	}
}

func TestLockWait(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	holder, waiter := db.client(t, "app"), db.client(t, "app")
	exec1(t, holder, "BEGIN", "UPDATE account SET owner = 'a' WHERE id = 1")
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(context.Background(), "UPDATE account SET owner = 'Frau Geheim' WHERE id = 1")
		done <- err
	}()
	out := until(t, s, "a session waiting for a lock", func(x watch.Sample) bool { return value(x, "connections", "waiting for a lock") == 1 })
	if n := value(out, "locks", "locks not granted"); n != 1 {
		t.Errorf("%v locks not granted, want 1", n)
	}
	if n := value(out, "connections", "active"); n != 0 {
		t.Errorf("%v active, want 0: the one that waits is counted apart", n)
	}
	want := []string{fmt.Sprintf("session %d has waited ", waiter.PgConn().PID()), fmt.Sprintf("for session %d, which is idle in transaction", holder.PgConn().PID()),
		"Waiting: UPDATE account SET owner = ? WHERE id = ?"}
	events := strings.Join(out.Events, "\n")
	for _, w := range want {
		if !strings.Contains(events, w) {
			t.Errorf("events %q, want %q in them", events, w)
		}
	}
	if strings.Contains(events, "Geheim") {
		t.Errorf("events %q show a value", events)
	}
	exec1(t, holder, "ROLLBACK")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDeadlock(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	sample(t, s)
	a, b := db.client(t, "app"), db.client(t, "app")
	exec1(t, a, "BEGIN", "UPDATE account SET owner = 'a' WHERE id = 1")
	exec1(t, b, "BEGIN", "UPDATE account SET owner = 'b' WHERE id = 2")
	done := make(chan error, 1)
	go func() {
		_, err := a.Exec(context.Background(), "UPDATE account SET owner = 'a' WHERE id = 2")
		done <- err
	}()
	_, err := b.Exec(t.Context(), "UPDATE account SET owner = 'b' WHERE id = 1")
	var victim *pgconn.PgError
	if err = errors.Join(err, <-done); !errors.As(err, &victim) || victim.Code != "40P01" {
		t.Fatalf("crossing updates: %v, want a deadlock", err)
	}
	for _, c := range []interface{ Close(context.Context) error }{a, b} { // statistics are written at the latest then
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	out := until(t, s, "the deadlock", func(x watch.Sample) bool { return value(x, "locks", "deadlocks since the start") == 1 })
	if !slices.ContainsFunc(out.Events, func(e string) bool {
		return strings.Contains(e, "a deadlock, ended by cancelling a transaction")
	}) {
		t.Errorf("events %q, want the deadlock", out.Events)
	}
	if v := value(sample(t, s), "locks", "deadlocks since the start"); v != 1 {
		t.Errorf("at the next look %v deadlocks, want still 1", v)
	}
}

func TestRatesAndCache(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	if v := value(sample(t, s), "transactions", "committed"); v != -1 {
		t.Errorf("the first look has a rate, %v", v)
	}
	app := db.client(t, "app")
	for range 50 {
		exec1(t, app, "INSERT INTO account SELECT 1000, 'x' ON CONFLICT DO NOTHING", "DELETE FROM account WHERE id = 1000")
	}
	exec1(t, app, "BEGIN", "SELECT count(*) FROM account", "ROLLBACK")
	if err := app.Close(t.Context()); err != nil { // writes its statistics
		t.Fatal(err)
	}
	var inserted, back bool
	until(t, s, "inserts and a transaction rolled back", func(x watch.Sample) bool {
		inserted = inserted || value(x, "rows", "inserted") > 0 && value(x, "rows", "deleted") > 0 && value(x, "transactions", "committed") > 0
		back = back || value(x, "transactions", "rolled back") > 0
		return inserted && back && value(x, "cache", "hit ratio") > 0
	})
}

func TestStatements(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	app := db.client(t, "app")
	exec1(t, app, "SELECT pg_sleep(0.001), 'before the run'")
	sample(t, s)
	for range 3 {
		exec1(t, app, "SELECT   pg_sleep(0.05), 'Frau Geheim'")
	}
	exec1(t, app, "SELECT count(*) FROM account WHERE owner = 'x'")
	got, err := s.Statements(t.Context())
	if err != nil || len(got) < 2 {
		t.Fatalf("Statements = %v, %v", got, err)
	}
	first := got[0]
	if first.Text != "SELECT pg_sleep($1), $2" || first.Calls != 3 || first.Rows != 3 || first.Mean() < 50*time.Millisecond {
		t.Errorf("slowest %+v, want 3 calls of the sleep, 50 ms or more each", first)
	}
	for _, x := range got {
		if strings.Contains(x.Text, "weir") || strings.Contains(x.Text, "Geheim") || x.ID == "" {
			t.Errorf("statement %+v should not be there", x)
		}
	}
}

func TestWhatIsNotThereIsSaidOnce(t *testing.T) {
	db := needServer(t)
	s, err := Open(t.Context(), db.url("plain", "postgres"), "PostgreSQL")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db.client(t, "app")
	first := strings.Join(sample(t, s).Events, "\n")
	for _, want := range []string{"GRANT pg_monitor TO plain", "CREATE EXTENSION pg_stat_statements"} {
		if !strings.Contains(first, want) {
			t.Errorf("events %q, want %q in them", first, want)
		}
	}
	out := sample(t, s)
	if len(out.Events) != 0 {
		t.Errorf("said again: %q", out.Events)
	}
	if n := value(out, "connections", "connections"); n < 2 {
		t.Errorf("%v connections, want 2 or more, also without the right to see what they do", n)
	}
	if n := value(out, "connections", "idle"); n != -1 {
		t.Errorf("%v idle: not known is not a figure", n)
	}
	if got, err := s.Statements(t.Context()); got != nil || err != nil {
		t.Errorf("Statements without the extension = %v, %v, want nothing", got, err)
	}
}

// TestServerStoppedAndStarted is the last one that needs the server in order.
func TestServerStoppedAndStarted(t *testing.T) {
	db := needServer(t)
	s := db.open(t, "monitor")
	sample(t, s)
	if v := value(sample(t, s), "connections", "connections"); v < 1 {
		t.Fatalf("%v connections before the stop", v)
	}
	if err := db.control("stop", "-m", "immediate"); err != nil {
		t.Fatal(err)
	}
	out, err := s.Sample(t.Context())
	if err == nil || len(out.Readings) != 0 {
		t.Errorf("Sample of a stopped server = %v, %v, want an error and no reading", out.Readings, err)
	}
	for range 3 { // goes on failing, however soon it is asked
		if out, err := s.Sample(t.Context()); err == nil || len(out.Readings) != 0 || strings.Contains(err.Error(), "\n") {
			t.Errorf("Sample of a stopped server = %v, %v, want a line and no reading", out.Readings, err)
		}
	}
	if err := db.control("start"); err != nil {
		t.Fatal(err)
	}
	back := until(t, s, "the server again", func(x watch.Sample) bool { return value(x, "connections", "connections") >= 1 })
	if v := value(back, "transactions", "committed"); v != -1 {
		t.Errorf("a rate of %v over the time in which the server was down", v)
	}
	until(t, s, "rates again", func(x watch.Sample) bool { return value(x, "transactions", "committed") >= 0 })
}

func TestNoSecretInErrors(t *testing.T) {
	db := needServer(t)
	good := fmt.Sprintf("postgres://guarded:%s@127.0.0.1:%d/sms?sslmode=disable", url.PathEscape(rolePassword), db.port)
	s, err := Open(t.Context(), good, "PostgreSQL")
	if err != nil {
		t.Fatalf("Open with the right password: %v", err)
	}
	s.Close()
	const secret = "Gehe!m9"
	host := fmt.Sprintf("127.0.0.1:%d", db.port)
	cases := []struct{ name, url, want string }{
		{"wrong password", "postgres://guarded:" + secret + "@" + host + "/sms?sslmode=disable", "password authentication failed"},
		{"no database", "postgres://app:" + secret + "@" + host + "/nothere?sslmode=disable", "3D000"},
		{"nobody there", "postgres://app:" + secret + "@127.0.0.1:1/sms", "connection refused"},
		{"no TLS there", "postgres://app:" + secret + "@" + host + "/sms?sslmode=require", "TLS"},
		{"bad port", "postgres://app:" + secret + "@127.0.0.1:x/sms", "postgres://user@host"},
		{"bad parameter", "postgres://app:" + secret + "@" + host + "/sms?sslmode=" + secret, "sslmode"},
		{"no URL", "host=127.0.0.1 password=" + secret, "postgres://user@host"},
		{"bad escape", "postgres://app:" + secret + "%zz@" + host + "/sms", "postgres://user@host"},
		{"password as a parameter", "postgres://" + host + "/sms?sslmode=disable&user=guarded&password=" + secret, "password authentication failed"},
		{"other scheme", "mysql://app:" + secret + "@" + host + "/sms", "postgres://user@host"},
	}
	for _, c := range cases {
		s, err := Open(t.Context(), c.url, "PostgreSQL")
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", c.name)
			continue
		}
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), url.QueryEscape(secret)) {
			t.Errorf("%s: the error shows the password: %v", c.name, err)
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", c.name, err, c.want)
		}
	}
	if len(cases) < 10 {
		t.Fatal("cases are missing")
	}
	if where, err := Where("postgres://app:" + secret + "@db.example/sms"); err != nil || where != "db.example:5432/sms" {
		t.Errorf("Where = %q, %v, want db.example:5432/sms", where, err)
	}
}
