// Package runfile keeps a Run, a recorded execution, in one SQLite file, by
// custom named *.weir.
//
// A Writer adds one tick per transaction while the run goes on, so that a run
// killed at any instant can still be read up to its last tick. Open reads it,
// also while it is being written. The tables are described in schema.go.
package runfile

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// Meta is what is known when a run starts. Secrets must have been masked by the
// caller: everything here is readable in the file.
type Meta struct {
	ID      string            `json:"id"`
	Started time.Time         `json:"started"` // wall clock, for labels only
	Weir    string            `json:"weir"`    // version of the program
	Args    []string          `json:"args"`    // the command line
	Target  string            `json:"target"`  // what is loaded, in one line for people
	Plan    json.RawMessage   `json:"plan,omitempty"`
	Host    string            `json:"host"`
	OS      string            `json:"os"`   // linux/amd64
	CPUs    int               `json:"cpus"` // that the program may use
	Seed    uint64            `json:"seed"`
	FailIf  []string          `json:"fail_if,omitempty"`
	StopIf  []string          `json:"stop_if,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"` // whatever else is worth keeping
	// Sinks are the settings, by name of the sink, with which its telemetry is made and sent.
	Sinks map[string]json.RawMessage `json:"sinks,omitempty"`
	// Costs is by which prices the run's costs are stated, as the command that made it wrote it.
	Costs json.RawMessage `json:"costs,omitempty"`
}

// End is what is known when a run has ended.
type End struct {
	Ended      time.Time         `json:"ended"`
	Reason     string            `json:"reason"`     // why it ended: one sentence
	Unfinished int64             `json:"unfinished"` // requests still under way
	Verdict    string            `json:"verdict"`    // of the run as a whole: passed, failed, invalid, interrupted
	ExitCode   int               `json:"exit_code"`
	Notes      []string          `json:"notes,omitempty"`      // warnings for people
	Statements []tally.Statement `json:"statements,omitempty"` // what the watched databases were busy with, slowest first
	LostTicks  int64             `json:"lost_ticks,omitempty"` // ticks that could not be stored; filled in by Finish
	Checks     []threshold.Check `json:"-"`                    // one row each in the table verdict
	// Estimates are those of Checks, by index; filled in by Finish.
	Estimates map[int]threshold.Estimate `json:"estimates,omitempty"`
}

// Run is a recorded execution, open for reading. Its methods are safe for
// concurrent use.
type Run struct {
	Path string
	Meta Meta
	End  *End // nil: there is none, because the run is still going on or was killed

	db      *sql.DB
	cleanup func() error
	watched bool // the file has the tables for it
	told    bool // likewise
}

// Partial says that ticks may be missing: the run has no end, or some could not be stored.
func (r *Run) Partial() bool { return r.End == nil || r.End.LostTicks > 0 }

// Close releases the file. No other method may be called afterwards.
func (r *Run) Close() error {
	err := r.db.Close()
	if r.cleanup != nil {
		err = errors.Join(err, r.cleanup())
		r.cleanup = nil
	}
	return err
}

func (r *Run) load(ctx context.Context) error {
	err := r.each(ctx, "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table' AND name IN ('watch', 'watched')", nil,
		func(scan func(...any) error) error { return scan(&r.watched) })
	if err != nil {
		return err
	}
	err = r.each(ctx, "SELECT count(*) = 1 FROM sqlite_schema WHERE type = 'table' AND name = 'told'", nil,
		func(scan func(...any) error) error { return scan(&r.told) })
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	err = r.each(ctx, "SELECT key, value FROM run", nil, func(scan func(...any) error) error {
		var key string
		var value []byte
		if err := scan(&key, &value); err != nil {
			return err
		}
		fields[key] = value
		return nil
	})
	if err != nil {
		return err
	}
	end, ended := fields["end"]
	delete(fields, "end")
	all, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(all, &r.Meta)
	}
	if err != nil {
		return fmt.Errorf("%w (what it says about the run: %w)", ErrDamaged, err)
	}
	if !ended {
		return nil
	}
	r.End = &End{}
	if err := json.Unmarshal(end, r.End); err != nil {
		return fmt.Errorf("%w (what it says about its end: %w)", ErrDamaged, err)
	}
	return r.each(ctx, "SELECT expr, verdict, value, at_ns FROM verdict ORDER BY rowid", nil, func(scan func(...any) error) error {
		var c threshold.Check
		var word []byte
		if err := scan(&c.Expr, &word, &c.Value, &c.At); err != nil {
			return err
		}
		if err := c.Verdict.UnmarshalText(word); err != nil {
			return fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
		c.Estimate = r.End.Estimates[len(r.End.Checks)]
		r.End.Checks = append(r.End.Checks, c)
		return nil
	})
}

// each runs a query and calls row for each of its rows.
func (r *Run) each(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			if code(err) == 0 && !errors.Is(err, ErrDamaged) {
				err = fmt.Errorf("%w (%w)", ErrDamaged, err) // a value that no Writer wrote
			}
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
