package runfile

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// readAhead is how many ticks are read at once.
const readAhead = 64

// Ticks returns the ticks in order, each newly made. It may be ranged over as
// often as wanted; on a run that goes on it ends with the latest tick. An error
// is the last thing that comes, and says how far the file could be read.
func (r *Run) Ticks() iter.Seq2[*tally.Tick, error] {
	return func(yield func(*tally.Tick, error) bool) {
		ctx := context.Background()
		read := 0
		for after := int64(math.MinInt64); ; {
			ticks, err := r.some(ctx, after)
			if err != nil {
				yield(nil, fmt.Errorf("read run file %s after %d ticks: %w", r.Path, read, unreadable(err)))
				return
			}
			if len(ticks) == 0 {
				return
			}
			for _, k := range ticks {
				after = int64(k.Index)
				read++
				if !yield(k, nil) {
					return
				}
			}
		}
	}
}

// some reads the next ticks with everything that belongs to them. What belongs
// to a tick is committed together with it, so separate queries see it whole.
func (r *Run) some(ctx context.Context, after int64) ([]*tally.Tick, error) {
	var ticks []*tally.Tick
	err := r.each(ctx, `SELECT tick, start_ns, length_ns, users, in_flight, due, retried,
		cpu, cores, gc_pause_ns, goroutines, files, file_limit, heap_bytes, lost, sends, send_lag, wake_lag, connect
		FROM tick WHERE tick > ? ORDER BY tick LIMIT ?`, []any{after, readAhead},
		func(scan func(...any) error) error {
			k := &tally.Tick{}
			h := &k.Health
			var heap int64
			var sends, sendLag, wakeLag, connect []byte
			err := scan(&k.Index, &k.Start, &k.Length, &k.Users, &k.InFlight, &k.Due, &k.Retried,
				&h.CPU, &h.Cores, &h.GCPause, &h.Goroutines, &h.Files, &h.FileLimit, &heap, &h.Lost,
				&sends, &sendLag, &wakeLag, &connect)
			if err != nil {
				return err
			}
			h.HeapBytes = uint64(heap)
			if k.Sends, err = decodeSends(sends); err != nil {
				return err
			}
			err = decodeHists([]field{{&k.SendLag, sendLag}, {&k.WakeLag, wakeLag}, {&k.Connect, connect}})
			ticks = append(ticks, k)
			return err
		})
	if err != nil || len(ticks) == 0 {
		return nil, err
	}
	byIndex := make(map[int]*tally.Tick, len(ticks))
	for _, k := range ticks {
		byIndex[k.Index] = k
	}
	within := []any{ticks[0].Index, ticks[len(ticks)-1].Index}
	if err := r.series(ctx, byIndex, within); err != nil {
		return nil, err
	}
	if err := r.errors(ctx, byIndex, within); err != nil {
		return nil, err
	}
	if err := r.watchedIn(ctx, byIndex, within); err != nil {
		return nil, err
	}
	if err := r.limitsIn(ctx, byIndex, within); err != nil {
		return nil, err
	}
	return ticks, r.events(ctx, byIndex, within)
}

func (r *Run) series(ctx context.Context, byIndex map[int]*tally.Tick, within []any) error {
	const query = `SELECT s.tick, n.method, n.name, s.outcome, s.count, s.bytes_in, s.bytes_out, s.first_ns, s.last_ns,
		s.codes, s.response, s.service
		FROM series s JOIN name n ON n.id = s.name WHERE s.tick BETWEEN ? AND ? ORDER BY s.rowid`
	return r.each(ctx, query, within, func(scan func(...any) error) error {
		var s tally.Series
		var tick int
		var outcome string
		var codes, response, service []byte
		err := scan(&tick, &s.Method, &s.Name, &outcome, &s.Count, &s.BytesIn, &s.BytesOut, &s.First, &s.Last,
			&codes, &response, &service)
		if err != nil {
			return err
		}
		if s.Outcome, err = parseOutcome(outcome); err != nil {
			return err
		}
		if s.Codes, err = decodeCodes(codes); err != nil {
			return err
		}
		if err := decodeHists([]field{{&s.Response, response}, {&s.Service, service}}); err != nil {
			return err
		}
		if k := byIndex[tick]; k != nil {
			k.Series = append(k.Series, s)
		}
		return nil
	})
}

func (r *Run) errors(ctx context.Context, byIndex map[int]*tally.Tick, within []any) error {
	const query = `SELECT f.tick, e.method, e.name, e.failure, e.status, e.text, f.count, f.first_ns, f.last_ns
		FROM failed f JOIN error e ON e.id = f.error WHERE f.tick BETWEEN ? AND ? ORDER BY f.rowid`
	return r.each(ctx, query, within, func(scan func(...any) error) error {
		var e tally.Error
		var tick int
		var word string
		if err := scan(&tick, &e.Method, &e.Name, &word, &e.Status, &e.Text, &e.Count, &e.First, &e.Last); err != nil {
			return err
		}
		var known bool
		if e.Failure, known = hit.ParseFailure(word); !known {
			return fmt.Errorf("%w (unknown failure %q)", ErrDamaged, word)
		}
		if k := byIndex[tick]; k != nil {
			k.Errors = append(k.Errors, e)
		}
		return nil
	})
}

func (r *Run) watchedIn(ctx context.Context, byIndex map[int]*tally.Tick, within []any) error {
	if !r.watched {
		return nil // written before there were watches
	}
	const query = `SELECT d.tick, h.source, h.chart, h.name, h.unit, h.limit_name, d.at_ns, d.value, coalesce(d.limit_value, 0.0), d.refused
		FROM watched d JOIN watch h ON h.id = d.watch WHERE d.tick BETWEEN ? AND ? ORDER BY d.rowid`
	return r.each(ctx, query, within, func(scan func(...any) error) error {
		var w tally.Watched
		var tick int
		if err := scan(&tick, &w.Source, &w.Group, &w.Name, &w.Unit, &w.LimitName, &w.At, &w.Value, &w.Limit, &w.Refused); err != nil {
			return err
		}
		if k := byIndex[tick]; k != nil {
			k.Watched = append(k.Watched, w)
		}
		return nil
	})
}

func (r *Run) events(ctx context.Context, byIndex map[int]*tally.Tick, within []any) error {
	const query = `SELECT tick, at_ns, kind, text, data FROM event WHERE tick BETWEEN ? AND ? ORDER BY rowid`
	return r.each(ctx, query, within, func(scan func(...any) error) error {
		var e tally.Event
		var tick int
		if err := scan(&tick, &e.At, &e.Kind, &e.Text, &e.Data); err != nil {
			return err
		}
		if k := byIndex[tick]; k != nil {
			k.Events = append(k.Events, e)
		}
		return nil
	})
}

// field is a histogram and where it goes.
type field struct {
	to   **hist.Hist
	blob []byte
}

func decodeHists(fields []field) error {
	for _, f := range fields {
		if f.blob == nil {
			continue
		}
		h := &hist.Hist{}
		if err := h.UnmarshalBinary(f.blob); err != nil {
			return fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
		*f.to = h
	}
	return nil
}

func parseOutcome(word string) (hit.Outcome, error) {
	for o := range hit.Outcome(hit.NumOutcomes) {
		if o.String() == word {
			return o, nil
		}
	}
	return 0, fmt.Errorf("%w (unknown outcome %q)", ErrDamaged, word)
}

func encodeSends(sends []uint32) []byte {
	if len(sends) == 0 {
		return nil
	}
	b := make([]byte, 0, len(sends)+8)
	for _, n := range sends {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func decodeSends(b []byte) ([]uint32, error) {
	if len(b) == 0 {
		return nil, nil
	}
	sends := make([]uint32, 0, len(b))
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxUint32 {
			return nil, fmt.Errorf("%w (sends)", ErrDamaged)
		}
		sends = append(sends, uint32(n))
		b = b[size:]
	}
	return sends, nil
}

func encodeCodes(codes []tally.Code) string {
	b := []byte{'['}
	for i, c := range codes {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "[%d,%d]", c.Status, c.Count)
	}
	return string(append(b, ']'))
}

func decodeCodes(text []byte) ([]tally.Code, error) {
	var pairs [][2]int64
	if err := json.Unmarshal(text, &pairs); err != nil {
		return nil, fmt.Errorf("%w (codes: %w)", ErrDamaged, err)
	}
	var codes []tally.Code
	for _, p := range pairs {
		codes = append(codes, tally.Code{Status: int(p[0]), Count: p[1]})
	}
	return codes, nil
}
