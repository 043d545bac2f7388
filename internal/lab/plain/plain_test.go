package plain

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

func do(t *testing.T, cfg Config, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("body")))
	return w
}

func TestPaths(t *testing.T) {
	cases := []struct {
		path   string
		status int
		body   string
		header string // name=value
		took   time.Duration
	}{
		{"/", 200, "ok\n", "", 0},
		{"//", 200, "ok\n", "", 0},
		{"/status/503", 503, "503 Service Unavailable\n", "", 0},
		{"/status/429/header/Retry-After/2", 429, "429 Too Many Requests\n", "Retry-After=2", 0},
		{"/status/599", 599, "599\n", "", 0},
		{"/status/204", 204, "", "", 0},
		{"/delay/200ms", 200, "ok\n", "", 200 * time.Millisecond},
		{"/delay/1s/delay/2s/status/201", 201, "201 Created\n", "", 3 * time.Second},
		{"/bytes/5", 200, "wwwww", "Content-Type=application/octet-stream", 0},
		{"/bytes/0", 200, "", "Content-Length=0", 0},
		{"/header/Content-Type/text%2Fcsv/bytes/1", 200, "w", "Content-Type=text/csv", 0},
		{"/header/X-A/a%20b/", 200, "ok\n", "X-A=a b", 0},

		{"/teapot", 400, "", "", 0},
		{"/status", 400, "", "", 0},
		{"/status/99", 400, "", "", 0},
		{"/status/600", 400, "", "", 0},
		{"/status/abc", 400, "", "", 0},
		{"/delay/soon", 400, "", "", 0},
		{"/delay/-1s", 400, "", "", 0},
		{"/delay/9m/delay/9m", 400, "", "", 0},
		{"/bytes/-1", 400, "", "", 0},
		{"/bytes/99999999999", 400, "", "", 0},
		{"/header/X", 400, "", "", 0},
		{"/header/X%0d%0aY/1", 400, "", "", 0},
		{"/header/X/1%0d%0aY:2", 400, "", "", 0},
		{"/header/Content-Length/7", 400, "", "", 0},
	}
	ran := 0
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ran++
				start := time.Now()
				w := do(t, Config{}, "GET", c.path)
				if w.Code != c.status || c.status != 400 && w.Body.String() != c.body {
					t.Errorf("%d %q, want %d %q", w.Code, w.Body, c.status, c.body)
				}
				if c.status == 400 && !strings.HasPrefix(w.Body.String(), "path: ") {
					t.Errorf("the refusal does not say why: %q", w.Body)
				}
				if name, value, ok := strings.Cut(c.header, "="); ok && w.Header().Get(name) != value {
					t.Errorf("%s = %q, want %q", name, w.Header().Get(name), value)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
	if ran != 26 {
		t.Errorf("ran %d cases, want 26", ran)
	}
}

func TestQuotaAndFaults(t *testing.T) {
	two := limit.Policy{Algorithm: limit.SlidingLog, Limit: 2, Window: time.Second}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Quota: &two, Faults: stand.Faults{Script: []stand.Fault{stand.Error}}})
		if err != nil {
			t.Fatal(err)
		}
		want := []int{500, 200, 429, 429}
		for i, code := range want {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
			if w.Code != code {
				t.Errorf("request %d: %d, want %d", i+1, w.Code, code)
			}
			if code == 429 && w.Header().Get("Retry-After") != "1" {
				t.Errorf("Retry-After = %q", w.Header().Get("Retry-After"))
			}
		}
		st := s.Stand().Stats(-1)
		if st.Requests != 4 || st.Answers["200"] != 1 || st.Answers["429"] != 2 || st.Answers["500"] != 1 || st.Categories[0].ThrottleCount != 2 {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestHead(t *testing.T) {
	if w := do(t, Config{}, http.MethodHead, "/bytes/7"); w.Body.Len() != 0 || w.Header().Get("Content-Length") != "7" {
		t.Errorf("body %q, length %q", w.Body, w.Header().Get("Content-Length"))
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Quota: &limit.Policy{}}); err == nil || !strings.Contains(err.Error(), "quota Requests: limit") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/status/503", "/delay/1s/bytes/9", "/header/a/b", "/%", "/%2f%2f", "/header/%00/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		a, err := parse(path)
		if err != nil {
			return
		}
		if a.status < 200 || a.status > 599 || a.delay < 0 || a.delay > maxDelay || a.bytes > maxBytes {
			t.Fatalf("%q: %+v", path, a)
		}
		for _, h := range a.headers {
			if strings.ContainsAny(h[0]+h[1], "\r\n\x00") {
				t.Fatalf("%q: header %q", path, h)
			}
		}
	})
}
