//go:build unix

package sms

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// binary finds a program of PostgreSQL, which Debian keeps out of the path.
func binary(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// postgres starts a server of its own in a temporary folder, reached by a socket
// in that folder only, and returns the URL of a new, empty database at each call.
func postgres(t *testing.T) func(t *testing.T) string {
	t.Helper()
	missing := ""
	initdb, server := binary("initdb"), binary("postgres")
	if initdb == "" || server == "" {
		missing = "no initdb and postgres (Debian: apt-get install postgresql)"
	}
	// PostgreSQL refuses to run as root.
	attr := &syscall.SysProcAttr{}
	owner := -1
	if os.Getuid() == 0 && missing == "" {
		u, err := osuser.Lookup("postgres")
		if err != nil {
			missing = "running as root, and there is no user postgres"
		} else {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			owner, attr.Credential = uid, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	if missing != "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("PostgreSQL is needed under CI: %s", missing)
		}
		t.Skipf("skipped: %s", missing)
	}
	// Not t.TempDir: another user has to get in, and a socket's path has to be short.
	dir, err := os.MkdirTemp("", "weir-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if owner >= 0 {
		if err := os.Chown(dir, owner, -1); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "weir", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	cmd.SysProcAttr, cmd.Dir = attr, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	run := exec.Command(server, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=40", "-c", "shared_buffers=16MB")
	run.SysProcAttr, run.Dir = attr, dir
	var said strings.Builder
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGINT) // fast shutdown
		if err := run.Wait(); err != nil {
			t.Errorf("postgres: %v\n%s", err, said.String())
		}
	})
	at := func(database string) string {
		return "postgres:///" + database + "?user=weir&host=" + url.QueryEscape(dir)
	}
	admin, err := sql.Open("pgx", at("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for admin.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatal("postgres did not start in three minutes")
		case <-time.After(20 * time.Millisecond):
		}
	}
	n := 0
	return func(t *testing.T) string {
		t.Helper()
		n++
		name := fmt.Sprintf("weir%d", n)
		if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
}

// TestPostgres holds PostgreSQL to the same behaviours as SQLite, the recording of
// Django among them.
func TestPostgres(t *testing.T) {
	fresh := postgres(t)
	ran := 0
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { ran++; b.run(t, fresh(t)) })
	}
	t.Run("a second start", func(t *testing.T) {
		database := fresh(t)
		for range 2 {
			app, err := New(t.Context(), Config{Database: database})
			if err != nil {
				t.Fatal(err)
			}
			newClient(t, app).login()
			// The sequence has been moved past the fixtures.
			var id int64
			if err := app.store.db.QueryRow(`INSERT INTO accounts_user (username, email, password, is_staff, is_superuser, is_active) VALUES ('u' || now(), '', '', false, false, true) RETURNING id`).Scan(&id); err != nil || id < 2 {
				t.Errorf("next user: %d, %v", id, err)
			}
			if err := app.Close(); err != nil {
				t.Error(err)
			}
		}
		ran++
	})
	t.Run("max_connections", func(t *testing.T) {
		app := newApp(t, Config{Database: fresh(t), Pool: 100})
		var leases []*lease
		for {
			l, err := app.store.lease(t.Context())
			if err != nil {
				if len(leases) < 5 || !strings.Contains(err.Error(), "too many clients") && !strings.Contains(err.Error(), "remaining connection slots") {
					t.Errorf("after %d connections: %v", len(leases), err)
				}
				break
			}
			leases = append(leases, l)
		}
		c := newClient(t, app)
		c.must(500, "POST", "/api/auth/login", `{"username":"admin","password":"password123"}`, "")
		for _, l := range leases {
			l.release()
		}
		c.login()
		ran++
	})
	if ran != 10 {
		t.Errorf("ran %d behaviours, want 10", ran)
	}
}
