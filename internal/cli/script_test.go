package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-dev/weir/internal/lab"
)

// TestMain lets the test binary be the weir command too: scripts and guides run it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"weir": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs testdata/script/*.txtar, each against stand-ins of its own:
// $COGNITO (quota 20/s) and $PLAIN.
func TestScript(t *testing.T) {
	scripts, _ := filepath.Glob("testdata/script/*.txtar")
	if len(scripts) < 10 {
		t.Fatalf("found only %d scripts", len(scripts))
	}
	var mu sync.Mutex // guards ran
	ran := 0
	t.Cleanup(func() { // the scripts run in parallel, after this function
		if ran == 0 {
			t.Error("no script ran")
		}
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			mu.Lock()
			ran++
			mu.Unlock()
			for name, cfg := range map[string]lab.Config{
				"COGNITO": {Standin: "cognito", Options: lab.Options{Quota: 20}},
				"PLAIN":   {Standin: "plain"},
				"SMS":     {Standin: "sms"},
				"AWS":     {Standin: "aws"},
			} {
				s, err := lab.Start(t.Context(), cfg)
				if err != nil {
					return err
				}
				env.Defer(func() { s.Close() })
				env.Setenv(name, s.URL())
				env.Setenv(name+"ADDR", strings.TrimPrefix(s.URL(), "http://"))
			}
			// Where a script starts a server itself; in its files these are 127.0.0.1:9001 and 9002.
			to := map[string]string{}
			for i := range 2 {
				env.Setenv(fmt.Sprint("ADDR", i+1), moved(fmt.Sprint("127.0.0.1:900", i+1), to))
			}
			if err := moveFiles(env.WorkDir, to); err != nil {
				return err
			}
			env.Setenv("NO_COLOR", "1")
			env.Setenv("CLIENT", "weirlabmachineclient000000:not-a-secret-weir-lab-only")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"json":     checkJSON,
			"exit":     checkExit,
			"waitfile": waitFile,
		},
	})
}

// TestScriptsAllowForABusyMachine holds that no script fails by chance in ways that can
// be seen from outside: a run that is judged by how late the generator was, and a port
// that another program may have. $ADDR1 and $ADDR2 are for servers of a script's own.
func TestScriptsAllowForABusyMachine(t *testing.T) {
	scripts, _ := filepath.Glob("testdata/script/*.txtar")
	load := regexp.MustCompile(`^(exec|! exec|exit [0159]) (sh -c |bash -c )?.*weir run `)
	port := regexp.MustCompile(`--(addr|listen|check|rls|admin)[ =]+127\.0\.0\.1:[1-9]`)
	loads := 0
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if load.MatchString(line) && !strings.Contains(line, "--dry-run") {
				if loads++; !strings.Contains(line, "--max-send-lag") {
					t.Errorf("%s:%d: a busy machine makes this run INVALID: add --max-send-lag 20s", file, i+1)
				}
			}
			if port.MatchString(line) && !strings.Contains(line, ":99999") {
				t.Errorf("%s:%d: another program may have this port: listen on $ADDR1", file, i+1)
			}
		}
	}
	if loads < 20 {
		t.Errorf("found only %d runs: the search is broken", loads)
	}
}

// checkExit is "exit N weir …": the command must end with exactly that code.
func checkExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		coder, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = coder.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// waitFile is "waitfile FILE": it returns when the file is there.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfile FILE")
	}
	for range 6000 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s did not appear in a minute", args[0])
}

// checkJSON is "json FILE path.to.value OP VALUE", OP one of = != < <= > >=.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: json FILE path OP VALUE")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for _, step := range strings.Split(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			y, ok := x[step]
			if !ok {
				ts.Fatalf("%s: no %q in %s", args[0], step, args[1])
			}
			v = y
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: no element %q in %s", args[0], step, args[1])
			}
			v = x[i]
		default:
			ts.Fatalf("%s: %s ends before %q", args[0], args[1], step)
		}
	}
	got, isNumber := v.(float64)
	want, err := strconv.ParseFloat(args[3], 64)
	ok := false
	if isNumber && err == nil {
		switch args[2] {
		case "=":
			ok = got == want
		case "!=":
			ok = got != want
		case "<":
			ok = got < want
		case "<=":
			ok = got <= want
		case ">":
			ok = got > want
		case ">=":
			ok = got >= want
		}
	} else {
		ok = (fmt.Sprint(v) == args[3]) == (args[2] == "=")
	}
	if !ok {
		ts.Fatalf("%s: %s is %v, want %s %s", args[0], args[1], v, args[2], args[3])
	}
}
