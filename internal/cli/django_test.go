package cli

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/report"
)

// djangoPython finds a Python with Django REST Framework, nil when there is none.
// .ci/setup puts one into .cache/django.
func djangoPython() []string {
	own, _ := filepath.Abs("../../.cache/django/bin/python")
	for _, python := range []string{os.Getenv("DJANGO_PYTHON"), own, "python3"} {
		if python != "" && exec.Command(python, "-c", "import rest_framework").Run() == nil {
			return []string{python, "-u"}
		}
	}
	return nil
}

// The scenario of the SMS system against a real Django with REST Framework: the
// session, the CSRF cookie and header, and what Django says when they are wrong.
func TestRealDjango(t *testing.T) {
	python := djangoPython()
	if python == nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Python with Django REST Framework: run .ci/setup")
		}
		t.Skip("skipped: there is no Python with Django REST Framework: .ci/setup installs one")
	}
	app, err := filepath.Abs("testdata/django/app.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python[0], append(python[1:], app, "0")...)
	cmd.Env = append(os.Environ(), "APP_DB="+filepath.Join(t.TempDir(), "app.sqlite3"), "PYTHONDONTWRITEBYTECODE=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		t.Fatalf("Django said %q, %v", line, err)
	}
	host := "http://127.0.0.1:" + port
	t.Setenv("SMS_PASSWORD", "password123")

	sms := runJSON(t, "run", "../../examples/sms.star", "--host", host, "-u", "3", "-n", "12", "--max-send-lag", "20s", "--fail-if", "failed.count > 0")
	forms := runJSON(t, "run", "testdata/django/forms.star", "--host", host, "-u", "2", "-n", "24", "--max-send-lag", "20s", "--fail-if", "failed.count > 0")
	for name, sum := range map[string]*report.Summary{"sms.star": sms, "forms.star": forms} {
		if sum.Outcomes.Failed.Count > 0 || sum.Outcomes.Admitted.Count < 12 || !sum.Verdict.Passed {
			t.Errorf("%s: %d admitted, %d failed: %s %v", name, sum.Outcomes.Admitted.Count, sum.Outcomes.Failed.Count, sum.Verdict.Reason, sum.Errors)
		}
	}
}
