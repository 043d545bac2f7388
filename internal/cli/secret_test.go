package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A service that sends back what it was sent does not bring a secret into a run
// file or a report.
func TestSecretsSentBack(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Api-Key")+" "+string(body))
	}))
	defer server.Close()
	const secret = "hunter2-hunter2"
	t.Setenv("PW", secret)
	t.Setenv("CLIENT", "me:"+secret)
	dir := t.TempDir()
	star := filepath.Join(dir, "s.star")
	text := `pw = secret("PW")
def flow(user):
    user.post("/x", data = {"pw": pw}, auth = ("me", pw), headers = {"X-Api-Key": pw})
U = HttpUser(tasks = [flow])
`
	if err := os.WriteFile(star, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"scenario": {star, "--host", server.URL},
		"url":      {server.URL, "--basic-auth-env", "CLIENT", "-H", "X-Api-Key: " + secret},
		"bearer":   {server.URL, "--bearer-env", "PW"},
	} {
		out := filepath.Join(dir, name)
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"run", "-n", "1", "--max-send-lag", "20s", "-o", out + ".weir", "--html", out + ".html", "--json", out + ".json"}, args...), strings.NewReader(""), &stdout, &stderr)
		if code != exitFailed {
			t.Errorf("%s: exit %d\n%s", name, code, &stderr)
		}
		files, _ := filepath.Glob(out + ".*")
		if len(files) < 3 {
			t.Fatalf("%s wrote %v", name, files)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds the secret", filepath.Base(f))
			}
			if name == "scenario" && strings.HasSuffix(f, ".weir") && !bytes.Contains(b, []byte("you sent ")) {
				t.Errorf("%s does not hold the answer", filepath.Base(f))
			}
		}
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			t.Errorf("%s shows the secret", name)
		}
	}
}
