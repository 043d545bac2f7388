package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestRunProgram holds what the command of a scenario in Go says and returns
// when it does not come to a run; package weir tests the runs.
func TestRunProgram(t *testing.T) {
	var got ProgramOptions
	p := Program{Name: "shop", Load: func(o ProgramOptions) (*ProgramScenario, error) {
		got = o
		return nil, errors.New("the scenario is wrong")
	}}
	cases := []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--help"}, exitPassed, "Usage: shop [flags]", ""},
		{[]string{"http://127.0.0.1:1"}, exitUsage, "", "weir shop: unexpected argument http://127.0.0.1:1"},
		{[]string{"--data", "x"}, exitUsage, "", "unknown flag --data"},
		{[]string{"--wait", "1s"}, exitUsage, "", "say it in the class"},
		{[]string{"--host", "http://h", "-T", "a", "-E", "b", "--class", "C", "--rate", "1/s"}, exitUsage, "", "weir shop: the scenario is wrong"},
	}
	for _, c := range cases {
		var stdout, stderr bytes.Buffer
		code := RunProgram(p, c.args, strings.NewReader(""), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("shop %v: exit code %d\n%s%s\nwant %d, %q, %q", c.args, code, &stdout, &stderr, c.code, c.stdout, c.stderr)
		}
		if strings.Contains(stdout.String(), "--basic-auth") {
			t.Errorf("shop %v offers flags of a single request", c.args)
		}
	}
	if got.Host != "http://h" || len(got.Tags) != 1 || len(got.ExcludeTags) != 1 || len(got.Classes) != 1 || !got.Arrivals {
		t.Errorf("the scenario was asked for %+v", got)
	}
}
