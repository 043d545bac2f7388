package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/locust"
	"github.com/weir-dev/weir/internal/locust/book"
)

func TestWeirsFlagsAreTakenOut(t *testing.T) {
	model, err := newOwnFlags()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		line, rest string
		own        []string
	}{
		{"--headless -u 10", "--headless -u 10", nil},
		{"--fail-if x>1 -u 10 MyUser", "-u 10 MyUser", []string{"--fail-if x>1"}},
		{"-u 1 --fail-if=x>1 --respect-limits -T a b", "-u 1 -T a b", []string{"--fail-if=x>1", "--respect-limits"}},
		{"--respect-limits=f.yaml", "", []string{"--respect-limits=f.yaml"}},
		{"--out r.weir -- --out x", "-- --out x", []string{"--out r.weir"}},
		{"--fail", "--fail", nil}, // abbreviations are Locust's alone
		{"--processes 2 --json --csv a --html b --tags c -t 5 -s 1 --profile p --users 3", "--processes 2 --json --csv a --html b --tags c -t 5 -s 1 --profile p --users 3", nil},
		{"--connections new --user-agent x", "--connections new --user-agent x", nil}, // mean nothing here
		{"--out", "", []string{"--out"}},
	}
	for _, tt := range tests {
		rest, own := model.split(strings.Fields(tt.line))
		var got []string
		for _, f := range own {
			got = append(got, strings.Join(f.Tokens, " "))
			if args := strings.Fields(tt.line); args[f.At] != f.Tokens[0] {
				t.Errorf("%s: %q is not at %d", tt.line, f.Tokens, f.At)
			}
		}
		if strings.Join(rest, " ") != tt.rest || !slices.Equal(got, tt.own) {
			t.Errorf("%s: Locust's %q, Weir's %q", tt.line, rest, got)
		}
	}
	if _, err := model.parse([]ownFlag{{Flag: "--timeout", Tokens: []string{"--timeout", "soon"}}}); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a wrong value: %v", err)
	}
	r := model.request(nil, nil)
	if r.Argv == nil || len(r.Flags) < 30 {
		t.Errorf("the request has %v and %d flags for the help", r.Argv, len(r.Flags))
	}
	for _, f := range r.Flags {
		if f.Help == "" || slices.Contains([]string{"--host", "--tags", "--json", "--csv", "--processes"}, f.Flags[0]) {
			t.Errorf("%v is in the help as Weir's: %q", f.Flags, f.Help)
		}
	}
}

func options(t *testing.T, text string) *locustOptions {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	o, err := readLocustOptions(m)
	if err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestOptionsThatNeedAWord(t *testing.T) {
	tests := []struct {
		options string
		shape   bool
		notes   []string // beginnings or parts
		err     string
	}{
		{`{"headless": true, "autoquit": -1, "web_port": 8089}`, false, nil, ""},
		{`{}`, false, nil, "no web page to start a test from"},
		{`{}`, true, nil, "no web page to start a test from"},
		{`{"num_users": 3}`, false, []string{"starts at once"}, ""},
		{`{"run_time": 3}`, true, []string{"starts at once"}, ""},
		{`{"headless": true, "web_host": "x", "web_port": 80, "tls_cert": "c"}`, false, []string{"--web-host, --web-port and --tls-cert have no effect"}, ""},
		{`{"headless": true, "class_picker": true}`, false, []string{"--class-picker has no effect"}, ""},
		{`{"autostart": true, "autoquit": 5}`, false, []string{"starts at once", "--autoquit is not needed"}, ""},
		{`{"master": true, "headless": true}`, false, nil, "does not speak the protocol"},
		{`{"worker": true}`, false, nil, "does not speak the protocol"},
		{`{"headless": true, "processes": -2}`, false, nil, "invalid --processes count -2"},
		{`{"headless": true, "num_users": 0}`, false, nil, "starts nobody"},
	}
	for _, tt := range tests {
		notes, err := options(t, tt.options).check(tt.shape)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v", tt.options, err)
		}
		if len(notes) != len(tt.notes) {
			t.Errorf("%s: notes %q", tt.options, notes)
			continue
		}
		for i := range notes {
			if !strings.Contains(notes[i], tt.notes[i]) {
				t.Errorf("%s: note %q, want %q in it", tt.options, notes[i], tt.notes[i])
			}
		}
	}
}

func TestHTMLName(t *testing.T) {
	for in, want := range map[string]string{
		`{"html_file": "r_{u}_{r}_{t}.html", "num_users": 50, "spawn_rate": 10.0, "run_time": 60}`: "r_50_10_60.html",
		`{"html_file": "r_{u}_{r}_{t}.html", "num_users": 1, "spawn_rate": 2.5, "run_time": null}`: "r_1_2.5_{t}.html",
		`{"html_file": "plain.html"}`: "plain.html",
	} {
		if got := options(t, in).htmlName(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestSecretArgumentsAreMasked(t *testing.T) {
	l := &locustRun{python: &pythonRun{loaded: &locust.Loaded{
		Secret: []string{"password"}, Arguments: json.RawMessage(`[{"dest":"password","flags":["--password","-p"]},{"dest":"colour","flags":["--colour"]}]`),
	}}}
	got := strings.Join(l.masked(strings.Fields("locust -p hunter2 --password=hunter2 --colour red --password")), " ")
	if strings.Contains(got, "hunter2") || !strings.Contains(got, "--colour red") {
		t.Errorf("%q", got)
	}
}

func TestConsoleWritesLikeLogging(t *testing.T) {
	var stderr bytes.Buffer
	c := &console{session: &session{stderr: &stderr}}
	log := filepath.Join(t.TempDir(), "log.txt")
	for _, tt := range []struct {
		options locustOptions
		want    string // on standard error
	}{
		{locustOptions{LogLevel: "INFO"}, "INFO/locust.main: a line"},
		{locustOptions{LogLevel: "warning"}, ""},
		{locustOptions{LogLevel: "INFO", SkipLog: true}, ""},
		{locustOptions{LogLevel: "INFO", LogFile: log}, ""},
	} {
		stderr.Reset()
		c.file = nil
		if err := c.open(&tt.options); err != nil {
			t.Fatal(err)
		}
		c.log("INFO", "locust.main", "a line")
		if !strings.Contains(stderr.String(), tt.want) || tt.want == "" && stderr.Len() > 0 {
			t.Errorf("%+v: %q", tt.options, stderr.String())
		}
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "/INFO/locust.main: a line\n") || text[0] != '[' {
		t.Errorf("%q, %v", text, err)
	}
	c.file.Close()
	if err := (&console{session: &session{stderr: &stderr}}).open(&locustOptions{LogFile: filepath.Join(log, "x")}); err == nil {
		t.Error("a log file that cannot be written is no error")
	}
}

func TestFilesAreReplacedInPlace(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "a", "b", "run")
	b := book.New(time.Now())
	f, err := createLocustFiles(prefix, b, true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b.Record("GET", "/", 5, 1, strings.Repeat("E", 10*(3-i)), time.Now())
		b.Second(time.Now())
		f.write(time.Now())
	}
	b.Reset(time.Now()) // the failures are gone, so the file becomes shorter
	if err := f.finish(time.Now()); err != nil {
		t.Fatal(err)
	}
	for suffix, lines := range map[string]int{"_stats.csv": 3, "_stats_history.csv": 1 + 3*2 + 2, "_failures.csv": 1, "_exceptions.csv": 1} {
		text, err := os.ReadFile(prefix + suffix)
		if err != nil || strings.Count(string(text), "\r\n") != lines {
			t.Errorf("%s has %d lines, want %d: %q, %v", suffix, strings.Count(string(text), "\r\n"), lines, text, err)
		}
	}
	if _, err := createLocustFiles(filepath.Join(prefix+"_stats.csv", "x"), b, false); err == nil {
		t.Error("a file as a folder is no error")
	}
	var none *locustFiles
	none.write(time.Now())
	none.close()
	if err := none.finish(time.Now()); err != nil {
		t.Error(err)
	}
}
