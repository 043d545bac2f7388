package cli

import (
	"fmt"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
)

// reportCmd renders a run file again.
type reportCmd struct {
	Run_ string `arg:"" name:"run" help:"Run file." placeholder:"RUN"`

	renderFlags
}

// Run writes the reports asked for, and the summary in words.
// Its exit code says whether they could be written, not how the run ended.
func (c *reportCmd) Run(s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	rec, err := runfile.Open(c.Run_)
	if err != nil {
		return usage("", "%v", err)
	}
	defer rec.Close()
	run := recorded(rec)
	sum, err := report.Build(run)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	if c.text() {
		if err := writeText(s, sum); err != nil {
			return err
		}
	}
	files, err := c.render(run, sum, s.stdout)
	if len(files) > 0 && !c.Quiet {
		fmt.Fprintf(s.stderr, "wrote %s\n", list(files))
	}
	return err
}
