package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/policy"
)

// TestProbeWritesNoMadeUpWindow: of a limit that does not open while it is probed there
// is a policy file only where headers say how long its window is.
func TestProbeWritesNoMadeUpWindow(t *testing.T) {
	for _, told := range []bool{false, true} {
		var mu sync.Mutex
		asked, began := 0, time.Time{}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if asked++; asked == 1 {
				began = time.Now()
			}
			if told {
				w.Header().Set("X-RateLimit-Limit", "12")
				w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(max(0, 12-asked)))
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(began.Add(time.Hour).Unix()))
			}
			if asked > 12 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}))
		t.Chdir(t.TempDir())
		file := filepath.Join(t.TempDir(), "found.yaml")
		var o, e bytes.Buffer
		code := Main([]string{"probe", srv.URL + "/", "--max-time", "6s", "--max-requests", "200", "--progress", "none", "--out", file, "--seed", "1"}, strings.NewReader(""), &o, &e)
		srv.Close()
		if code != 0 || !strings.HasPrefix(o.String(), "Undecided. It lets 12 through, and did not open again within ") {
			t.Fatalf("exit %d\n%s\n%s", code, o.String(), e.String())
		}
		data, err := os.ReadFile(file)
		if !told {
			if err == nil || !strings.Contains(e.String(), "how long its window is, is not known: "+file+" is not written") {
				t.Errorf("stderr: %s\nfile: %s", e.String(), data)
			}
			continue
		}
		if err != nil || !strings.Contains(o.String(), "The headers say that it opens again in 60 min") {
			t.Fatalf("%v\n%s\n%s", err, o.String(), e.String())
		}
		f, err := policy.Parse(file, data)
		if err != nil || len(f.Policies) != 1 || f.Policies[0].Limit != 12 || f.Policies[0].Window != time.Hour || !strings.Contains(string(data), "# Not seen, only told: its window is what the headers say") {
			t.Errorf("%v\n%s", err, data)
		}
	}
}
