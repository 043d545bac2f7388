package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	blackbox "github.com/weir-dev/weir/internal/probe"
)

// probeJournal keeps what is seen, for a later session to go on from.
type probeJournal struct {
	head    blackbox.JournalHead
	records []blackbox.Record // all, those of earlier sessions first
	earlier int               // of records
	had     int               // requests of earlier sessions
	refused int               // of these
	file    *os.File          // nil: only written at an early end
	err     error             // of writing
}

// openJournal reads the journal of --resume. A probe without arguments of its own
// takes those that stand in it.
func (c *probeCmd) openJournal() (*probeJournal, error) {
	j := &probeJournal{}
	if c.Resume == "" {
		return j, nil
	}
	f, err := os.Open(c.Resume)
	if err != nil {
		return nil, usage("give the journal that an earlier probe left", "--resume: %v", err)
	}
	defer f.Close()
	was, err := blackbox.ReadJournal(f)
	if err != nil {
		return nil, usage("give the journal that an earlier probe left", "--resume: %s: %v", c.Resume, err)
	}
	j.head, j.records, j.earlier = was.Head, was.Records, len(was.Records)
	for _, r := range was.Records {
		j.had += len(r.Answers)
		for _, a := range r.Answers {
			if a.Outcome == blackbox.Refused {
				j.refused++
			}
		}
	}
	if c.URL == "" {
		if len(was.Head.Args) == 0 {
			return nil, usage("give the same command again, with --resume "+c.Resume, "the request of %s holds what a journal does not keep, such as header fields", c.Resume)
		}
		c.URL = was.Head.Args[0]
		if len(was.Head.Args) > 1 {
			c.Step = was.Head.Args[1]
		}
	}
	return j, nil
}

// fits tells whether the journal is of this request, and begins one of it.
func (j *probeJournal) fits(c *probeCmd, req *hit.Request, s *session) error {
	print := printOf(req)
	if j.head.Print != "" && j.head.Print != print {
		return usage("give the same command as then", "--resume: the journal is of another request: %s", j.head.Target)
	}
	if j.head.Print == "" {
		j.head = blackbox.JournalHead{Started: time.Now().UTC(), Target: req.Method + " " + maskURL(req.URL), Print: print}
		// Only what holds no secret: a file by its name, or a plain URL.
		if isScenario(c.URL) || isRequestFile(c.URL) {
			if len(c.Var) == 0 {
				j.head.Args = []string{c.URL, c.Step}
			}
		} else if !c.given() && maskURL(c.URL) == c.URL && len(c.Vary) == 0 {
			j.head.Args = []string{c.URL}
		}
	}
	if c.DryRun || c.Journal == "" {
		return nil
	}
	f, err := os.OpenFile(c.Journal, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return cannotRun("choose another place", "--journal: %v", err)
	}
	j.file = f
	return j.write(f)
}

// printOf tells requests apart without holding anything of their secrets: which method,
// host, path and header fields there are.
func printOf(req *hit.Request) string {
	h := sha256.New()
	at := req.URL
	if u, err := url.Parse(req.URL); err == nil {
		at = u.Scheme + "://" + u.Host + u.EscapedPath()
	}
	fmt.Fprintf(h, "%s %s\n", req.Method, at)
	for _, f := range req.Header {
		fmt.Fprintln(h, strings.ToLower(f.Name))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// past is what the probe itself can go on from: waves of the request as it is. Spent is
// how many requests the others took.
func (j *probeJournal) past() (out []blackbox.Record, spent int) {
	for _, r := range j.records[:j.earlier] {
		if r.As == "" {
			out = append(out, r)
		} else {
			spent += len(r.Answers)
		}
	}
	return out, spent
}

// add takes in a wave.
func (j *probeJournal) add(r blackbox.Record) {
	r.Answers = append([]blackbox.Answer(nil), r.Answers...)
	j.records = append(j.records, r)
	if j.file != nil && j.err == nil {
		b, err := r.Line()
		if err == nil {
			_, err = j.file.Write(b)
		}
		j.err = err
	}
}

func (j *probeJournal) write(w io.Writer) error {
	b, err := j.head.Line()
	if err == nil {
		_, err = w.Write(b)
	}
	for _, r := range j.records {
		if err != nil {
			break
		}
		if b, err = r.Line(); err == nil {
			_, err = w.Write(b)
		}
	}
	if err != nil {
		return cannotRun("choose another place", "the journal: %v", err)
	}
	return nil
}

// finish closes the journal, and writes one where the probe ended early and none was
// asked for. It says how to go on.
func (j *probeJournal) finish(c *probeCmd, s *session, ended bool) error {
	name := c.Journal
	if j.file != nil {
		if err := errors.Join(j.err, j.file.Close()); err != nil {
			return cannotRun("choose another place", "--journal: %v", err)
		}
	}
	if !ended || len(j.records) == 0 {
		return nil
	}
	if name == "" {
		if name = c.Resume; name == "" {
			var err error
			if name, err = unused("weir-probe-"+j.head.Started.Format("20060102-150405"), ".journal"); err != nil {
				return cannotRun("say where with --journal", "cannot make a journal here: %v", bare(err))
			}
		}
		if err := writeFile(name, j.write); err != nil {
			return err
		}
	}
	again := "weir probe --resume " + name
	if len(j.head.Args) == 0 {
		again = "the same command with --resume " + name
	}
	fmt.Fprintf(s.stderr, "weir probe: what was seen is in %s; %s goes on from there\n", name, again)
	return nil
}
