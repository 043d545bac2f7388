package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-dev/weir/internal/lab"
	"github.com/weir-dev/weir/internal/lab/cognito"
)

// demoHint is what to do when the demonstration's files cannot be written: it
// has fewer flags than the run it makes, and the hints of that name others.
const demoHint = "choose another folder with --dir"

// demoCmd does the main job against a stand-in of its own.
type demoCmd struct {
	Quota    int64         `default:"120" placeholder:"N" help:"Quota of the stand-in, in requests per second." group:"Lab"`
	RunTime  time.Duration `short:"t" default:"25s" placeholder:"DURATION" help:"How long." group:"Budget"`
	Dir      string        `default:"." placeholder:"FOLDER" help:"Where to write the reports." group:"Output"`
	Progress string        `enum:"auto,live,plain,none" default:"auto" help:"Show progress live on a terminal, as plain lines, or not at all." group:"Output"`
}

// Run starts the stand-in, loads it with ever more users until well above its
// quota, and writes every report.
func (c *demoCmd) Run(s *session) error {
	if c.Quota < 1 || c.Quota > 2000 {
		return usage("the demonstration runs on one machine", "--quota must be between 1 and 2000")
	}
	if c.RunTime < 5*time.Second {
		return usage("", "--run-time must be at least 5s: the load needs time to grow")
	}
	html := filepath.Join(c.Dir, "weir-report.html")
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return usage("make it first: mkdir -p "+c.Dir, "--dir %s: there is no such folder", c.Dir)
	}
	if err := probe(c.Dir); err != nil {
		return cannotRun(demoHint, "cannot write in the folder %s: %v", c.Dir, err)
	}
	server, err := lab.Start(context.Background(), lab.Config{Standin: "cognito", Options: lab.Options{Quota: c.Quota}})
	if err != nil {
		return cannotRun("", "the stand-in did not start: %v", err)
	}
	defer server.Close()

	// Users pause for a second between requests, as in the script that this
	// imitates, so their number is the rate. It grows steadily to 1.7 times the
	// quota over the first four fifths, and then stays.
	peak := max(int(c.Quota*17/10), 2)
	ramp := (c.RunTime * 4 / 5).Round(time.Second)
	run, err := parseRun([]string{
		server.URL() + cognito.TokenPath,
		"--basic-auth", cognito.MachineClientID + ":" + cognito.MachineSecret,
		"--data", "grant_type=client_credentials",
		"--stages", fmt.Sprintf("0..%d:%s,%d:%s", peak, ramp, peak, c.RunTime-ramp),
		"--wait", "1s", "--fail-if", "failed.count > 0",
		// A demonstration may run on a busy machine; it says how late it was.
		"--max-send-lag", "500ms",
		"--progress", c.Progress, "--out", filepath.Join(c.Dir, "weir-demo.weir"),
		"--html", html, "--csv", filepath.Join(c.Dir, "weir-demo"),
	})
	if err != nil {
		return err
	}

	fmt.Fprintf(s.stdout, "A stand-in for Cognito's token endpoint is at %s,\n"+
		"with a quota of %d requests a second. Users who ask for a token each second\n"+
		"grow in number from 0 to %d within %s. No other machine is involved.\n\n",
		server.URL(), c.Quota, peak, ramp)
	sub := *s
	sub.args = []string{"demo"}
	if err := run.Run(&sub); err != nil {
		return withHint(err, demoHint)
	}
	fmt.Fprintf(s.stdout, "\nLook at it:   %s\nThe same against your own:\n"+
		"  weir run https://…/oauth2/token --basic-auth-env CLIENT \\\n"+
		"    --data grant_type=client_credentials -u 300 -r 100 --wait 1s -t 1m\n", html)
	return nil
}
