package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/tenantlog"
)

// logsCmd reads a tenant's log and explains which limits were met.
type logsCmd struct {
	Source string `arg:"" name:"file|url" help:"A log: JSON, or one entry a line; - for standard input; or the URL of a tenant, whose Management API is read."`

	TokenEnv string        `default:"AUTH0_TOKEN" placeholder:"NAME" help:"The environment variable that has the token for the Management API (read:logs)." group:"Logs"`
	Since    string        `placeholder:"LOG_ID" help:"Read from this entry on, with from and take, instead of by page." group:"Logs"`
	Max      int           `default:"10000" placeholder:"N" help:"Read at most so many entries from the API." group:"Logs"`
	Timeout  time.Duration `default:"2m" help:"For all of the reading from the API, with the waits that its limits ask for." group:"Logs"`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the diagnosis as JSON; - for standard output." group:"Output"`
	Quiet    bool          `short:"q" help:"Print errors only." group:"Output"`
}

// diagnosed is what --json writes.
type diagnosed struct {
	Format    string   `json:"format"`
	Source    string   `json:"source"`
	Sentences []string `json:"sentences"`
	*tenantlog.Diagnosis
	Unreadable int      `json:"unreadable"`
	Problems   []string `json:"problems"`
	Complete   bool     `json:"complete"` // nothing ended the reading early
}

// Run reads, explains, and leaves with 2 when the log could not be read to its end.
func (c *logsCmd) Run(s *session) error {
	if c.JSON != "" && c.JSON != "-" {
		if err := writable("--json", c.JSON); err != nil {
			return err
		}
	}
	remote := strings.HasPrefix(c.Source, "http://") || strings.HasPrefix(c.Source, "https://")
	name := shown(c.Source)
	var read *tenantlog.Reading
	var cutShort error
	if remote {
		name = maskURL(c.Source)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		api, err := newLogsAPI(c.Source, s.getenv(c.TokenEnv), c.TokenEnv)
		if err != nil {
			return err
		}
		if !c.Quiet {
			api.say = func(text string) { fmt.Fprintln(s.stderr, text) }
		}
		var entries []tenantlog.Entry
		if entries, err = api.all(ctx, c.Since, max(c.Max, 1)); err != nil && len(entries) == 0 {
			return err
		}
		read, cutShort = &tenantlog.Reading{Entries: entries}, err
	} else {
		in, done, err := s.logFile(c.Source)
		if err != nil {
			return err
		}
		defer done()
		if read, err = tenantlog.Read(in); err != nil {
			if read == nil || len(read.Entries) == 0 {
				return usage("give a log of a tenant: a JSON array, or one entry a line", "%s: %v", name, err)
			}
			cutShort = usage("what was read until there is explained above", "%s: %v", name, err)
		}
	}
	d := diagnosed{Format: "weir-logs/1", Source: name, Diagnosis: tenantlog.Diagnose(read.Entries), Unreadable: read.Bad, Problems: []string{}, Complete: cutShort == nil}
	d.Sentences = d.Diagnosis.Sentences()
	for _, p := range read.Problems {
		d.Problems = append(d.Problems, p.Error())
	}
	if err := c.deliver(s, &d); err != nil {
		return err
	}
	if cutShort == nil && d.Entries == 0 && read.Bad > 0 {
		return usage("give a log of a tenant: a JSON array, or one entry a line", "%s: no entry could be read; %s", name, d.Problems[0])
	}
	return cutShort
}

func (s *session) logFile(name string) (io.Reader, func() error, error) {
	if name == "-" {
		return s.stdin, func() error { return nil }, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, usage("give a log file, a URL, or - for standard input", "%v", err)
	}
	return f, f.Close, nil
}

func (c *logsCmd) deliver(s *session, d *diagnosed) error {
	switch c.JSON {
	case "":
	case "-":
		return printJSON(s.stdout, d)
	default:
		err := writeFile(c.JSON, func(w io.Writer) error { return printJSON(w, d) })
		if err != nil {
			return err
		}
		if !c.Quiet {
			fmt.Fprintf(s.stderr, "wrote %s\n", c.JSON)
		}
	}
	if c.Quiet {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", d.Source, entriesWord(d.Entries))
	if d.From != nil {
		fmt.Fprintf(&b, ", from %s to %s UTC", d.From.UTC().Format("2006-01-02 15:04:05"), d.To.UTC().Format("2006-01-02 15:04:05"))
	}
	b.WriteString("\n")
	for _, one := range d.Sentences {
		for i, l := range wrap(one, explainWidth-4) {
			b.WriteString(map[bool]string{true: "  ", false: "    "}[i == 0] + printable(l) + "\n")
		}
	}
	for i := range d.Buckets {
		bucketText(&b, &d.Buckets[i])
	}
	if len(d.Other) > 0 {
		var names []string
		for name := range d.Other {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %d", printable(name), d.Other[name])
		}
		for i, l := range wrap("Entries about other things: "+strings.Join(names, ", ")+".", explainWidth-4) {
			b.WriteString(map[bool]string{true: "\n  ", false: "    "}[i == 0] + l + "\n")
		}
	}
	if d.Unreadable > 0 {
		fmt.Fprintf(&b, "\n  %s could not be read:\n", entriesWord(d.Unreadable))
		for _, p := range d.Problems {
			b.WriteString("  - " + printable(p) + "\n")
		}
	}
	_, err := io.WriteString(s.stdout, b.String())
	return err
}

// mostStretches bounds what the text shows; the JSON has all.
const mostStretches = 10

func bucketText(b *strings.Builder, d *tenantlog.BucketDiagnosis) {
	if d.Limited == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %s\n    refused from              for at least    warned before  entries\n", printable(d.Name))
	for i, one := range d.Stretches {
		if i == mostStretches {
			fmt.Fprintf(b, "    and %d more stretches, in the JSON\n", len(d.Stretches)-i)
			break
		}
		warned := "not"
		if one.Warned != nil {
			warned = (time.Duration(*one.Warned*1e9) / time.Millisecond * time.Millisecond).String()
		}
		fmt.Fprintf(b, "    %-23s  %13s  %15s  %7d\n", one.From.UTC().Format("2006-01-02 15:04:05.000"), time.Duration(one.AtLeast*1e9).Round(time.Second), warned, one.Entries)
	}
	for i, c := range d.Clients {
		if i == mostStretches {
			fmt.Fprintf(b, "    and %d more clients, in the JSON\n", len(d.Clients)-i)
			break
		}
		who := c.Name
		switch {
		case who == "" && c.ID == "":
			who = "no client, from " + c.IP
		case who == "":
			who = c.ID
		case c.ID != "":
			who += " (" + c.ID + ")"
		}
		fmt.Fprintf(b, "    by %s: %s\n", printable(who), entriesWord(c.Entries))
	}
	for i, p := range d.Paths {
		if i == mostStretches {
			break
		}
		fmt.Fprintf(b, "    at %s: %s\n", printable(p.Request), entriesWord(p.Entries))
	}
}

// printable leaves out what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2066' || r == '\u2067' {
			return '\uFFFD'
		}
		return r
	}, s)
}

func entriesWord(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// errAPI is what is wrong with an answer of the Management API.
var errAPI = errors.New("the Management API")
