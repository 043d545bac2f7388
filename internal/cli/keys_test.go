//go:build linux

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal of the system: what is written to master is typed.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("no terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// cooked reports whether the terminal waits for lines and shows what is typed.
func cooked(t *testing.T, f *os.File) bool {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	return m.Lflag&unix.ICANON != 0 && m.Lflag&unix.ECHO != 0
}

// TestKeys types at a run, and ends it in each way that leaves time to put the
// terminal back.
func TestKeys(t *testing.T) {
	for _, end := range []struct {
		name string
		key  string
		sig  syscall.Signal
		code int
	}{{"Ctrl-C", "\x03", 0, 130}, {"SIGTERM", "", syscall.SIGTERM, 130}, {"the plan", "", 0, 0}} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			var users sync.Map // by address: each has a connection of its own
			var seen atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, known := users.LoadOrStore(r.RemoteAddr, true); !known {
					seen.Add(1)
				}
			}))
			defer server.Close()
			master, slave := openTerminal(t)
			dir := t.TempDir()
			args := []string{"run", server.URL, "-u", "2", "--wait", "50ms", "--max-send-lag", "60s",
				"--json", filepath.Join(dir, "s.json"), "--out", "none", "--progress", "none"}
			if end.code == 0 {
				args = append(args, "-t", "8s")
			} else {
				args = append(args, "-t", "100s")
			}
			exe, err := exec.LookPath("weir") // which TestMain made of this binary
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, args...)
			var errs strings.Builder
			cmd.Stdin, cmd.Stderr, cmd.Stdout = slave, &errs, nil
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			deadline := time.Now().Add(2 * time.Minute)
			until := func(what string, is func() bool) {
				for ; !is(); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("not %s within two minutes", what)
					}
				}
			}
			until("the terminal is taken", func() bool { return !cooked(t, slave) })
			until("the users are there", func() bool { return seen.Load() >= 2 })
			if _, err := master.WriteString("wWx"); err != nil {
				t.Fatal(err)
			}
			until("those who were added are there", func() bool { return seen.Load() >= 13 })
			time.Sleep(1200 * time.Millisecond) // a second is recorded
			if _, err := master.WriteString("s" + end.key); err != nil {
				t.Fatal(err)
			}
			if end.sig != 0 {
				if err := cmd.Process.Signal(end.sig); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != end.code {
				t.Errorf("exit code %d, want %d: %s", code, end.code, errs.String())
			}
			if !cooked(t, slave) {
				t.Error("the terminal was not put back")
			}
			var sum struct {
				Answer  []string `json:"answer"`
				Offered struct {
					Users int `json:"most_users"`
				} `json:"offered"`
			}
			b, err := os.ReadFile(filepath.Join(dir, "s.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &sum); err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(sum.Answer, "\n") + string(b); !strings.Contains(text, "changed by hand") || !strings.Contains(text, "13 users wanted, where the plan has 2") {
				t.Errorf("the report does not tell of the change: %s", sum.Answer)
			}
		})
	}
}

// Without a terminal there are no keys.
func TestNoKeysWithoutTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	x := &execution{session: &session{stdin: r, stderr: os.Stderr}, keys: true}
	x.listen(nil)()
	_, slave := openTerminal(t)
	x.session.stdin, x.keys = slave, false
	x.listen(nil)()
	if !cooked(t, slave) {
		t.Error("--no-keys changed the terminal")
	}
}
