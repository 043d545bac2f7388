package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
)

// renderFlags say which reports are written. Each can be written again from the run file.
type renderFlags struct {
	HTML     string `name:"html" placeholder:"FILE" help:"Write the report as one HTML file; - for standard output." group:"Output"`
	JSON     string `name:"json" placeholder:"FILE" help:"Write the summary as JSON; - for standard output." group:"Output"`
	CSV      string `name:"csv" placeholder:"PREFIX" help:"Write PREFIX_stats.csv, _stats_history.csv, _failures.csv and _exceptions.csv as Locust does, and PREFIX_outcomes.csv." group:"Output"`
	CSVFull  bool   `name:"csv-full-history" help:"A row for each name and second in the history, as Locust's flag of that name." group:"Output"`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the verdict as JUnit XML; - for standard output." group:"Output"`
	Markdown string `name:"markdown" placeholder:"FILE" help:"Write a short summary in Markdown; - for standard output." group:"Output"`
	Quiet    bool   `short:"q" help:"Print errors only." group:"Output"`
}

// outputFlags are those of a run.
type outputFlags struct {
	Out      string `short:"o" placeholder:"FILE" help:"Run file, from which every report can be made again. Default: weir-DATE-TIME.weir; none for none." group:"Output"`
	Progress string `enum:"auto,live,plain,none" default:"auto" help:"Show progress live on a terminal, as plain lines, or not at all." group:"Output"`
	renderFlags
}

// check finds out before a run whether its run file and its reports can be
// written after it.
func (f *outputFlags) check() error {
	switch f.Out {
	case "-":
		return usage("give it a name; reports may go to standard output: --json -", "--out -: a run file cannot be written to standard output")
	case "", "none":
		return f.renderFlags.check()
	}
	return f.renderFlags.check(f.Out)
}

// single are the reports that are one file each.
func (f *renderFlags) single() []reportFile {
	return []reportFile{{"--html", f.HTML}, {"--json", f.JSON}, {"--junit", f.JUnit}, {"--markdown", f.Markdown}}
}

// reportFile is a flag and the file it names.
type reportFile struct{ flag, path string }

// csvFiles are the ends of the names of the files that --csv writes.
var csvFiles = []string{"_outcomes.csv", "_stats.csv", "_stats_history.csv", "_failures.csv", "_exceptions.csv"}

// check finds out whether the reports can be written, each to a file of its own
// and none over the run file.
func (f *renderFlags) check(runFiles ...string) error {
	wanted := f.single()
	if f.CSV == "-" {
		return usage("give the beginning of the names: --csv out", "--csv writes several files, so it cannot write to standard output")
	}
	if f.CSV != "" {
		for _, suffix := range csvFiles {
			wanted = append(wanted, reportFile{"--csv", f.CSV + suffix})
		}
	}
	taken := map[string]string{}
	for _, path := range runFiles {
		taken[fileKey(path)] = "the run file"
	}
	for _, x := range wanted {
		if x.path == "" {
			continue
		}
		key := x.path
		if key != "-" {
			key = fileKey(key)
		}
		if other, ok := taken[key]; ok && x.path == "-" {
			return usage("write one of them to a file", "%s and %s both write to standard output", other, x.flag)
		} else if ok && !throwaway(x.path) {
			return usage("give each a name of its own", "%s would be written over %s: both are %s", x.flag, other, x.path)
		}
		taken[key] = x.flag
		if x.path == "-" {
			continue
		}
		if err := writable(x.flag, x.path); err != nil {
			return err
		}
	}
	return nil
}

// fileKey is the same for two ways to write one path.
func fileKey(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	// A link to a file that is not there yet leads to where it will be.
	if to, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// throwaway reports whether path is a device, a pipe or a socket: nothing is
// replaced there, so two reports may go to it.
func throwaway(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// writable tells before the load begins whether a report can be written.
func writable(flag, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return usage("give the name of a file in it", "%s %s is a folder", flag, path)
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil // opening a pipe would wait for its reader
	}
	dir := filepath.Dir(fileKey(path))
	if folder, err := os.Stat(dir); err != nil || !folder.IsDir() {
		return usage("make it first: mkdir -p "+filepath.Dir(path), "%s %s: the folder %s does not exist", flag, path, filepath.Dir(path))
	}
	if flag == "--csv" && err == nil { // these are written in place
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return cannotRun("choose another place for the report", "%s: cannot write %s: %v", flag, path, bare(err))
		}
		return file.Close()
	}
	if err := probe(dir); err != nil {
		return cannotRun("choose another place for the report", "%s %s: cannot write in the folder %s: %v", flag, path, filepath.Dir(path), err)
	}
	return nil
}

// probe makes a file in a folder and removes it: rights, a full disk and a
// read-only file system are found out by nothing less.
func probe(dir string) error {
	tmp, err := os.CreateTemp(dir, ".weir-*")
	if err != nil {
		return bare(err)
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// bare leaves out the name of the file: it is a temporary one, which tells nobody anything.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

// documents are what can be written of a run, or of two that are compared. Those
// that are nil there are not.
type documents struct {
	html, json, junit, markdown func(io.Writer) error
	text                        func(io.Writer, report.TextOptions) error
	csv                         func(create func(suffix string) (io.WriteCloser, error)) error
}

// ofRun are all documents.
func (f *renderFlags) ofRun(run report.Run, sum *report.Summary) documents {
	return documents{
		html: sum.WriteHTML, json: sum.WriteJSON, junit: sum.WriteJUnit, markdown: sum.WriteMarkdown, text: sum.WriteText,
		csv: func(create func(string) (io.WriteCloser, error)) error {
			return report.WriteCSV(run, report.CSVOptions{FullHistory: f.CSVFull}, create)
		},
	}
}

// deliver writes every report asked for, and what belongs on standard output:
// the summary in words, or the report that is wanted there instead.
//
// Subtle: the files come first. When the reader of standard output has left
// (| head), the first write to it ends the program.
func (f *renderFlags) deliver(s *session, d documents, runFile string) error {
	files, err := f.render(d)
	if runFile != "" {
		files = append(files, runFile)
	}
	if len(files) > 0 && !f.Quiet {
		defer func() { fmt.Fprintf(s.stderr, "wrote %s\n", list(files)) }()
	}
	for i, x := range f.single() {
		if x.path == "-" {
			err = errors.Join(err, d.single()[i](s.stdout))
		}
	}
	if f.text() {
		tty, size := isTerminal(s.stdout)
		o := report.TextOptions{Color: report.DetectMode(tty, s.getenv).Color}
		if tty {
			o.Width, _ = size()
		}
		err = errors.Join(err, d.text(s.stdout, o))
	}
	return err
}

// single are the documents in the order of renderFlags.single.
func (d documents) single() []func(io.Writer) error {
	return []func(io.Writer) error{d.html, d.json, d.junit, d.markdown}
}

// render writes the reports that are files and returns their names. An error
// does not keep it from writing the others.
func (f *renderFlags) render(d documents) (files []string, err error) {
	var errs []error
	for i, x := range f.single() {
		if x.path == "" || x.path == "-" {
			continue
		}
		if err := writeFile(x.path, d.single()[i]); err != nil {
			errs = append(errs, err)
			continue
		}
		files = append(files, x.path)
	}
	if f.CSV != "" {
		err := d.csv(func(suffix string) (io.WriteCloser, error) { return os.Create(f.CSV + suffix) })
		if err != nil {
			errs = append(errs, cannotRun("choose another place for the report", "cannot write %s_*.csv: %v", f.CSV, bare(err)))
		} else {
			files = append(files, f.CSV+"_*.csv")
		}
	}
	return files, errors.Join(errs...)
}

// text reports whether the summary in words goes to standard output.
func (f *renderFlags) text() bool {
	for _, x := range f.single() {
		if x.path == "-" {
			return false
		}
	}
	return !f.Quiet
}

// writeFile writes to a file beside path and renames it, so that a report is
// whole or not there. A device or a pipe is written to as it is, and a link
// stays a link.
func writeFile(path string, to func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = cannotRun("choose another place for the report", "cannot write %s: %v", path, bare(err))
		}
	}()
	if throwaway(path) {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(to(file), file.Close())
	}
	path = fileKey(path)
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
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

// reserve makes an empty file for a run file whose name nobody chose: two runs
// that begin in the same second get two.
func reserve(now time.Time) (string, error) {
	path, err := unused("weir-"+now.Format("20060102-150405"), ".weir")
	if err != nil {
		return "", cannotRun("choose another place with --out, or none with --out none", "cannot make a run file here: %v", bare(err))
	}
	return path, nil
}

// unused makes an empty file of a name that no file had.
func unused(base, ending string) (string, error) {
	for i := 1; ; i++ {
		path := base + ending
		if i > 1 {
			path = fmt.Sprintf("%s-%d%s", base, i, ending)
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		switch {
		case err == nil:
			return path, file.Close()
		case !errors.Is(err, fs.ErrExist):
			return "", err
		}
	}
}

// recorded presents a run file to the reports.
func recorded(r *runfile.Run) report.Run {
	run := report.Run{Meta: describeRun(r.Meta), Ticks: warmed(r)}
	if r.End != nil {
		run.End = describeEnd(r.End)
	}
	if list, err := r.Deliveries(); err == nil { // damage is met, and told, by the ticks
		details, notes := deliveryWords(list)
		run.Meta.Details = append(run.Meta.Details, details...)
		run.Meta.Details = append(run.Meta.Details, costDetails(r, list)...)
		if run.End != nil {
			run.End.Notes = append(slices.Clone(run.End.Notes), notes...)
		}
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

// allWritable looks at the files that flags name, before anything is sent whose
// report could not be written. Each pair is a flag and its value, "" for none.
func allWritable(outputs ...[2]string) error {
	for _, out := range outputs {
		if out[1] == "" || out[1] == "-" {
			continue
		}
		if err := writable(out[0], out[1]); err != nil {
			return err
		}
	}
	return nil
}
