package cli

import (
	"time"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
)

// reportCmd renders a run file again, or compares two.
type reportCmd struct {
	Runs []string `arg:"" name:"run" help:"Run file; with a second one the two are compared." placeholder:"RUN"`

	renderFlags

	Send        bool          `help:"Send the telemetry that is still in the run file, and say what became of it." group:"Telemetry"`
	Discard     bool          `help:"Throw the telemetry away that is still in the run file." group:"Telemetry"`
	OnAmbiguous string        `enum:"skip,resend" default:"skip" placeholder:"RULE" help:"With --send: what to do with calls that may have arrived: skip keeps them, resend sends them again." group:"Telemetry"`
	SendWithin  time.Duration `placeholder:"DURATION" help:"With --send: give up after this. Default: when nothing was delivered for ten minutes." group:"Telemetry"`
}

// Run writes the reports asked for, and the summary in words.
// Its exit code says whether they could be written, not how the run ended.
func (c *reportCmd) Run(s *session) error {
	switch {
	case (c.Send || c.Discard) && len(c.Runs) != 1:
		return usage("name one run file", "--send and --discard work on one run file")
	case c.Send && c.Discard:
		return usage("choose one", "--send and --discard exclude each other")
	case c.Send:
		return sendRecorded(s, c.Runs[0], c.SendWithin, c.OnAmbiguous == "resend", c.Quiet)
	case c.Discard:
		return discardRecorded(s, c.Runs[0])
	case len(c.Runs) > 2:
		return usage("compare them two at a time", "%d run files are too many", len(c.Runs))
	case len(c.Runs) == 2 && (c.HTML != "" || c.CSV != "" || c.JUnit != ""):
		return usage("leave out one of the run files", "a comparison can be written as text, with --json and with --markdown")
	}
	if err := c.check(c.Runs...); err != nil {
		return err
	}
	if len(c.Runs) == 2 {
		return c.compare(s)
	}
	rec, err := runfile.Open(c.Runs[0])
	if err != nil {
		return usage("", "%v", err)
	}
	defer rec.Close()
	run := recorded(rec)
	sum, err := report.Build(run)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	return c.deliver(s, c.ofRun(run, sum), "")
}

// compare sets the second run beside the first.
func (c *reportCmd) compare(s *session) error {
	var runs [2]report.Run
	for i, path := range c.Runs {
		rec, err := runfile.Open(path)
		if err != nil {
			return usage("", "%v", err)
		}
		defer rec.Close()
		runs[i] = recorded(rec)
	}
	cmp, err := report.Compare(runs[0], runs[1], c.Runs[0], c.Runs[1])
	if err != nil {
		return cannotRun("", "%v", err)
	}
	return c.deliver(s, documents{json: cmp.WriteJSON, markdown: cmp.WriteMarkdown, text: cmp.WriteText}, "")
}
