// Command verify measures weir verify: how many planted deviations it finds in
// virtual time and what it accuses falsely, and what it says of limiters that
// other people wrote.
//
//	go run ./bench/verify                        the table of planted deviations
//	go run ./bench/verify -real -deps FOLDER     the table of real limiters
//
// FOLDER has what the servers need, as far as they are to be tried: node_modules
// (npm install), venv (pip install -r requirements.txt), governor-server (cargo
// build --release) and jars (mvn dependency:copy-dependencies). nginx is looked
// for on the path.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/internal/verify/verifytest"
)

func main() {
	real := flag.Bool("real", false, "try limiters that other people wrote")
	deps := flag.String("deps", ".", "folder with what the servers need")
	only := flag.String("only", "", "this server alone")
	n := flag.Int("n", 300, "servers: this many faithful ones, and as many with a deviation, shared among the kinds")
	seed := flag.Uint64("seed", 20261122, "seed of everything random")
	flag.Parse()
	var err error
	if *real {
		err = tryReal(*deps, *only)
	} else {
		err = score(*n, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/verify:", err)
		os.Exit(1)
	}
}

// score prints the table of planted deviations.
func score(n int, seed uint64) error {
	o := verifytest.Options()
	fmt.Printf("Budget of each: at most %d requests, %d refused, %v of virtual time. Round trips of 1 to 100 ms, and of 0.2 to 0.5 ms with a clock of 2 ms.\n\n", o.Budget.Requests, o.Budget.Throttled, o.Budget.Time)
	fmt.Println("| server | tried | violated | with a finding of its kind | undecided | requests each |")
	fmt.Println("|---|---|---|---|---|---|")
	began := time.Now()
	s, err := verifytest.Faithful(n, seed)
	if err != nil {
		return err
	}
	row := func(s verifytest.Score) {
		fmt.Printf("| %s | %d | %d (%.0f %%) | %d | %d | %d |\n", s.Kind, s.Servers, s.Violated, 100*float64(s.Violated)/float64(s.Servers), s.Named, s.Undecided, s.Requests/s.Servers)
	}
	row(s)
	kinds := verifytest.Deviations()
	all := verifytest.Score{Kind: "all deviations"}
	var missed []string
	for i, d := range kinds {
		s, err := verifytest.Deviating(d, (n+len(kinds)-1-i)/len(kinds), seed+uint64(i)+1)
		if err != nil {
			return err
		}
		row(s)
		all.Servers += s.Servers
		all.Violated += s.Violated
		all.Named += s.Named
		all.Undecided += s.Undecided
		all.Requests += s.Requests
		for _, m := range s.Worst {
			missed = append(missed, s.Kind+": "+m)
		}
	}
	row(all)
	fmt.Printf("\n%.1f s of real time. Not found, or named otherwise:\n", time.Since(began).Seconds())
	for _, m := range missed {
		fmt.Println("-", m)
	}
	return nil
}

// limiter is a server that nobody here wrote.
type limiter struct {
	name  string
	code  string // of the finding against the wrong policy
	start func(dir, deps string, port int) (*exec.Cmd, error)
	flags []string
}

func limiters() []limiter {
	command := func(name string, args ...string) func(string, string, int) (*exec.Cmd, error) {
		return func(dir, deps string, port int) (*exec.Cmd, error) {
			all := append([]string{}, args...)
			for i := range all {
				all[i] = strings.NewReplacer("DIR", dir, "DEPS", deps).Replace(all[i])
			}
			c := exec.Command(strings.NewReplacer("DIR", dir, "DEPS", deps).Replace(name), append(all, fmt.Sprint(port))...)
			c.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(deps, "node_modules"))
			return c, nil
		}
	}
	return []limiter{
		{"nginx", verify.CodeUnderLimit, nginx, nil},
		{"xtimerate", verify.CodeOverLimit, nil, nil},
		{"express", verify.CodeAlign, command("node", "DIR/express.js"), nil},
		{"flexible", verify.CodeSplit, command("node", "DIR/flexible.js"), []string{"--vary", "header:X-Api-Key=new"}},
		{"flask_app", verify.CodeAlgorithm, command("DEPS/venv/bin/python", "DIR/flask_app.py"), nil},
		{"slowapi_app", verify.CodeWindow, command("DEPS/venv/bin/python", "DIR/slowapi_app.py"), nil},
		{"governor", verify.CodeNotDenied, command("DEPS/governor-server"), nil},
		{"bucket4j", verify.CodeOverLimit, command("java", "-cp", "DEPS/jars/*", "DIR/bucket4j/Server.java"), nil},
	}
}

func nginx(dir, _ string, port int) (*exec.Cmd, error) {
	tmp, err := os.MkdirTemp("", "weir-nginx")
	if err != nil {
		return nil, err
	}
	conf, err := os.ReadFile(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("@DIR@", tmp, "@PORT@", fmt.Sprint(port)).Replace(string(conf))
	if err := os.WriteFile(filepath.Join(tmp, "nginx.conf"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return exec.Command("nginx", "-p", tmp, "-c", filepath.Join(tmp, "nginx.conf")), nil
}

// tryReal prints the table of real limiters.
func tryReal(deps, only string) error {
	dir, err := filepath.Abs("bench/verify/servers")
	if err != nil {
		return err
	}
	fmt.Println("| limiter | true policy | wrong policy | finding | requests | seconds |")
	fmt.Println("|---|---|---|---|---|---|")
	bad := 0
	for _, l := range limiters() {
		if only != "" && l.name != only {
			continue
		}
		row, ok, err := tryOne(l, dir, deps)
		if err != nil {
			fmt.Printf("| %s | not tried: %v | | | | |\n", l.name, err)
			bad++
			continue
		}
		if !ok {
			bad++
		}
		fmt.Println(row)
	}
	if bad > 0 {
		return fmt.Errorf("%d of the limiters were not judged as they should be", bad)
	}
	return nil
}

func tryOne(l limiter, dir, deps string) (row string, ok bool, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", false, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if l.start == nil {
		limiter := rate.NewLimiter(10, 5)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !limiter.Allow() {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})}
		go server.Serve(listener)
		defer server.Close()
	} else {
		listener.Close()
		cmd, err := l.start(dir, deps, port)
		if err != nil {
			return "", false, err
		}
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &log, &log, 3*time.Second
		if err := cmd.Start(); err != nil {
			return "", false, err
		}
		defer func() {
			// Politely first: nginx ends its workers then.
			cmd.Process.Signal(os.Interrupt)
			time.AfterFunc(2*time.Second, func() { cmd.Process.Kill() })
			cmd.Wait()
		}()
		if err := await(port); err != nil {
			return "", false, fmt.Errorf("it did not start: %.200s", log.String())
		}
	}
	target := fmt.Sprintf("http://127.0.0.1:%d", port)
	right, _, err := judged(filepath.Join(dir, l.name+".limit.yaml"), target, l.flags)
	if err != nil {
		return "", false, err
	}
	wrong, text, err := judged(filepath.Join(dir, l.name+".wrong.yaml"), target, l.flags)
	if err != nil {
		return "", false, err
	}
	found := "none"
	if len(wrong.Findings) > 0 {
		found = wrong.Findings[0].Code + " " + wrong.Findings[0].Text
	}
	ok = right.Verdict == verify.Passed && wrong.Verdict == verify.Violated && strings.HasPrefix(found, l.code)
	if !ok {
		fmt.Fprintf(os.Stderr, "%s: true policy: %s %+v\n%s\n", l.name, right.Verdict, right.Findings, text)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %.0f |", l.name, right.Verdict, wrong.Verdict, found, right.Requests+wrong.Requests, right.Seconds+wrong.Seconds), ok, nil
}

// judged runs weir verify.
func judged(file, target string, flags []string) (*verify.Report, string, error) {
	tmp, err := os.CreateTemp("", "weir-verify*.json")
	if err != nil {
		return nil, "", err
	}
	defer os.Remove(tmp.Name())
	var stdout, stderr bytes.Buffer
	args := append([]string{"verify", file, "--target", target, "--json", tmp.Name(), "--quiet", "--max-time", "70s", "--grain", "3ms"}, flags...)
	code := cli.Main(args, strings.NewReader(""), &stdout, &stderr)
	if code != 0 && code != 1 && code != 4 {
		return nil, "", fmt.Errorf("exit code %d: %s", code, stderr.String())
	}
	data, err := os.ReadFile(tmp.Name())
	if err != nil {
		return nil, "", err
	}
	var rep verify.Report
	return &rep, stdout.String(), json.Unmarshal(data, &rep)
}

func await(port int) error {
	var err error
	for range 200 {
		var c net.Conn
		if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
