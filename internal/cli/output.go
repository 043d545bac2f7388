package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
)

// renderFlags say which reports are written. Each can be written again from the run file.
type renderFlags struct {
	HTML     string `name:"html" placeholder:"FILE" help:"Write the report as one HTML file." group:"Output"`
	JSON     string `name:"json" placeholder:"FILE" help:"Write the summary as JSON; - for standard output." group:"Output"`
	CSV      string `name:"csv" placeholder:"PREFIX" help:"Write PREFIX_stats.csv, _stats_history.csv, _failures.csv and _exceptions.csv as Locust does, and PREFIX_outcomes.csv." group:"Output"`
	CSVFull  bool   `name:"csv-full-history" help:"A row for each name and second in the history, as Locust's flag of that name." group:"Output"`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the verdict as JUnit XML." group:"Output"`
	Markdown string `name:"markdown" placeholder:"FILE" help:"Write a short summary in Markdown; - for standard output." group:"Output"`
	Quiet    bool   `short:"q" help:"Print errors only." group:"Output"`
}

// outputFlags are those of a run.
type outputFlags struct {
	Out      string `short:"o" placeholder:"FILE" help:"Run file, from which every report can be made again. Default: weir-DATE-TIME.weir; none for none." group:"Output"`
	Progress string `enum:"auto,live,plain,none" default:"auto" help:"Show progress live on a terminal, as plain lines, or not at all." group:"Output"`
	renderFlags
}

// check finds out before a run whether its reports can be written after it.
func (f *renderFlags) check() error {
	for _, x := range []struct{ flag, path string }{
		{"--html", f.HTML}, {"--json", f.JSON}, {"--csv", f.CSV}, {"--junit", f.JUnit}, {"--markdown", f.Markdown},
	} {
		if x.path == "" || x.path == "-" && (x.flag == "--json" || x.flag == "--markdown") {
			continue
		}
		if info, err := os.Stat(x.path); err == nil && info.IsDir() && x.flag != "--csv" {
			return usage("give the name of a file in it", "%s %s is a folder", x.flag, x.path)
		}
		dir := filepath.Dir(x.path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return usage("make it first: mkdir -p "+dir, "%s %s: the folder %s does not exist", x.flag, x.path, dir)
		}
	}
	if f.JSON == "-" && f.Markdown == "-" {
		return usage("write one of them to a file", "--json and --markdown both write to standard output")
	}
	return nil
}

// render writes every report asked for and returns the names of the files.
// An error does not keep it from writing the others.
func (f *renderFlags) render(run report.Run, sum *report.Summary, stdout io.Writer) (files []string, err error) {
	var errs []error
	write := func(path string, to func(io.Writer) error) {
		if path == "" {
			return
		}
		if path == "-" {
			errs = append(errs, to(stdout))
			return
		}
		if err := writeFile(path, to); err != nil {
			errs = append(errs, err)
			return
		}
		files = append(files, path)
	}
	write(f.HTML, sum.WriteHTML)
	write(f.JSON, sum.WriteJSON)
	write(f.JUnit, sum.WriteJUnit)
	write(f.Markdown, sum.WriteMarkdown)
	if f.CSV != "" {
		errs = append(errs, report.WriteCSV(run, report.CSVOptions{FullHistory: f.CSVFull}, func(suffix string) (io.WriteCloser, error) {
			return os.Create(f.CSV + suffix)
		}))
		files = append(files, f.CSV+"_*.csv")
	}
	return files, errors.Join(errs...)
}

// text reports whether the summary in words goes to standard output.
func (f *renderFlags) text() bool { return !f.Quiet && f.JSON != "-" && f.Markdown != "-" }

// writeFile writes to a file beside path and renames it, so that a report is whole or not there.
func writeFile(path string, to func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return cannotRun("choose another place for the report", "cannot write %s: %v", path, err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err = to(tmp); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	if err = os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// recorded presents a run file to the reports.
func recorded(r *runfile.Run) report.Run {
	run := report.Run{Meta: describeRun(r.Meta), Ticks: r.Ticks()}
	if r.End != nil {
		run.End = describeEnd(r.End)
	}
	return run
}

func describeRun(m runfile.Meta) report.Meta {
	meta := report.Meta{
		ID: m.ID, Started: m.Started, Target: m.Target, Version: m.Weir, Args: m.Args,
		Host: m.Host, OS: fmt.Sprintf("%s, %s", m.OS, plural(m.CPUs, "CPU")),
	}
	var p planRecord
	if p.read(m.Plan) == nil {
		meta.Model, meta.Plan, meta.Length, meta.Planned = p.Model, p.Words, p.Length, p.Planned
		meta.Details = p.details()
	}
	return meta
}

func describeEnd(e *runfile.End) *report.End {
	return &report.End{
		Ended: e.Ended, Reason: e.Reason, Unfinished: e.Unfinished, Verdict: e.Verdict,
		ExitCode: e.ExitCode, Checks: e.Checks, Notes: e.Notes, Statements: e.Statements,
	}
}

// isTerminal reports whether w is a terminal, and a func for its size.
func isTerminal(w io.Writer) (bool, func() (cols, rows int)) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, nil
	}
	return true, func() (int, int) {
		c, r, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0, 0
		}
		return c, r
	}
}

// list writes file names the way a sentence does: "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
