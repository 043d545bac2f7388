package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestProbeOfAStep: a step is asked with what the user has by then, cookies and
// tokens, and none of the steps before is asked again.
func TestProbeOfAStep(t *testing.T) {
	l, err := limit.Policy{Limit: 50, Window: time.Second, Burst: 6}.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	items := &limited{l: l, after: tooMany}
	var logins, bare atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) {
		logins.Add(1)
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s1", Path: "/"})
		_, _ = w.Write([]byte(`{"token":"t0p"}`))
	})
	mux.HandleFunc("POST /items", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("sid"); err != nil || c.Value != "s1" || r.Header.Get("Authorization") != "Bearer t0p" {
			bare.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		items.ServeHTTP(w, r)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "flow.star")
	star := `
host = "` + srv.URL + `"

def flow(user):
    token = user.get("/login").json()["token"]
    user.post("/items", json = {"a": 1}, name = "buy", headers = {"Authorization": "Bearer " + token})

Buyer = HttpUser(tasks = [flow])
`
	if err := os.WriteFile(file, []byte(star), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	journal := filepath.Join(t.TempDir(), "j")
	code := Main([]string{"probe", file, "--step", "buy", "--max-requests", "25", "--max-time", "5s", "--progress", "none", "--journal", journal}, strings.NewReader(""), &o, &e)
	if code != 0 || logins.Load() != 1 || bare.Load() != 0 || items.asked == 0 {
		t.Errorf("exit %d, %d logins, %d without a session, %d of the step\n%s%s", code, logins.Load(), bare.Load(), items.asked, o.String(), e.String())
	}
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"t0p", "s1\""} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the journal holds %q", secret)
		}
	}
	e.Reset()
	if code := Main([]string{"probe", file, "--step", "nothing", "--quiet", "--max-time", "3s"}, strings.NewReader(""), &o, &e); code != exitUsage || !strings.Contains(e.String(), "it sent") {
		t.Errorf("an unknown step: exit %d, %q", code, e.String())
	}
}
