//go:build unix

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/internal/report"
)

// smallPostgres starts a PostgreSQL server that has nine connections for
// applications, and returns its URL for a role and a database.
func smallPostgres(t *testing.T) func(role, database string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) }) // 15 before 9.6
	if p, err := exec.LookPath("initdb"); err == nil {
		found = append(found, p)
	}
	var as *syscall.Credential
	missing := ""
	if len(found) == 0 {
		missing = "no PostgreSQL server is installed here (Debian: apt-get install postgresql)"
	} else if os.Getuid() == 0 { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			missing = "running as root, and there is no user postgres"
		} else {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	if missing != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip("skipped: " + missing)
	}
	dir, err := os.MkdirTemp("", "weir-pg-") // not t.TempDir: another user has to get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	port := strconv.Itoa(freePorts.next())
	data := filepath.Join(dir, "data")
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(filepath.Dir(found[0]), name), append(args, "-D", data)...)
		c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
		return c
	}
	if out, err := command("initdb", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := command("postgres", "-p", port, "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=12", "-c", "superuser_reserved_connections=3",
		"-c", "max_wal_senders=0", "-c", "fsync=off", "-c", "shared_preload_libraries=pg_stat_statements")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown
		_ = server.Wait()
	})
	url := func(role, database string) string {
		return "postgres://" + role + "@127.0.0.1:" + port + "/" + database + "?sslmode=disable"
	}
	var conn *pgx.Conn
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if conn, err = pgx.Connect(t.Context(), url("postgres", "postgres")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{"CREATE ROLE app LOGIN", "CREATE ROLE monitor LOGIN", "GRANT pg_monitor TO monitor", "CREATE DATABASE sms OWNER app"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(t.Context())
	if conn, err = pgx.Connect(t.Context(), url("postgres", "sms")); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	return url
}

// TestTheDatabaseIsNamedAsTheBottleneck runs the SMS system on a real PostgreSQL
// with few connections: two seconds of one user, then more than there are
// connections for. The report names it, with the time at which it began.
func TestTheDatabaseIsNamedAsTheBottleneck(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	t.Parallel()
	url := smallPostgres(t)
	addr := "127.0.0.1:" + strconv.Itoa(freePorts.next())
	weir, err := exec.LookPath("weir") // which TestMain made of this binary
	if err != nil {
		t.Fatal(err)
	}
	lab := exec.Command(weir, "lab", "sms", "--addr", addr, "--pool", "20", "--slow-query", "300ms", "--database", url("app", "sms"), "--for", "3m")
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	defer lab.Wait()
	defer lab.Process.Kill()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the stand-in does not listen")
		}
	}
	dir := t.TempDir()
	scenario, page, md := filepath.Join(dir, "s.star"), filepath.Join(dir, "r.json"), filepath.Join(dir, "r.md")
	write(t, scenario, fmt.Sprintf(`host = "http://%s"
def login(user):
    user.post("/api/auth/login", json = {"username": "admin", "password": "password123"})
def history(user):
    user.get("/api/sms/history")
U = HttpUser(tasks = [history], on_start = login, wait_time = constant(0.1))
`, addr))
	code, stdout, stderr := weirHere("run", scenario, "--stages", "1..1:2s,30:3s", "--stop-timeout", "1s", "--max-send-lag", "60s", "--progress", "none", "--out", "none",
		"--watch", url("monitor", "sms"), "--watch-every", "200ms", "--json", page, "--markdown", md,
		"--fail-if", "watch{connections}.used >= 95% for 1s", "--expect", "watch{PostgreSQL connections}.max < 9", "--fail-if", "watch{deadlocks since the start}.max > 0")
	if code != exitFailed {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	var sum report.Summary
	b, err := os.ReadFile(page)
	if err == nil {
		err = json.Unmarshal(b, &sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	const want = "Bottleneck: PostgreSQL connections reached 9 of 9 (max_connections 12 less 3 reserved) from "
	notes, _ := os.ReadFile(md)
	for name, text := range map[string]string{"answer": strings.Join(sum.Answer, " "), "text": strings.Join(strings.Fields(stdout), " "), "Markdown": strings.ReplaceAll(string(notes), `\_`, "_")} {
		if !strings.Contains(text, want) {
			t.Errorf("the %s does not name the bottleneck:\n%s", name, text)
		}
	}
	found := false
	for _, w := range sum.Watched {
		if w.Name != "connections" || len(w.Saturated) == 0 {
			continue
		}
		found = true
		// The users came at 2 s. A busy machine may be late with them, never early.
		if s := w.Saturated[0]; s.From < 1.9 {
			t.Errorf("it began at %.1f s, want about 2 or later", s.From)
		}
	}
	if !found {
		t.Errorf("no figure was saturated: %+v", sum.Watched)
	}
	slow := false
	for _, s := range sum.Statements {
		slow = slow || strings.Contains(s.Text, "sms_message") && s.Mean >= 290 && s.Calls > 0
	}
	if !slow {
		t.Errorf("the slow statement is not among the slowest: %+v", sum.Statements)
	}
	var verdicts []string
	for _, c := range sum.Verdict.Checks {
		verdicts = append(verdicts, c.Result)
	}
	if !slices.Equal(verdicts, []string{"fail", "pass", "fail"}) {
		t.Errorf("verdicts %q: %+v", verdicts, sum.Verdict.Checks)
	}
}
