package runfile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/tally"
)

// limitsRow is tally.Limits as the table told has it: with the histograms of Work.
type limitsRow struct {
	tally.Limits
	Work []workRow `json:"work,omitempty"`
}

type workRow struct {
	tally.Work
	Total   []byte `json:"total,omitempty"`
	HeldFor []byte `json:"held_for,omitempty"`
}

// putLimits stores what a tick knows of limits, if that is anything.
func (w *Writer) putLimits(ctx context.Context, k *tally.Tick) error {
	if k.Limits.Empty() {
		return nil
	}
	row := limitsRow{Limits: *k.Limits}
	row.Limits.Work = nil
	for _, x := range k.Limits.Work {
		blobs, err := encodeHists(x.Total, x.HeldFor)
		if err != nil {
			return err
		}
		r := workRow{Work: x}
		r.Total, _ = blobs[0].([]byte)
		r.HeldFor, _ = blobs[1].([]byte)
		row.Work = append(row.Work, r)
	}
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("the limits of tick %d: %w", k.Index, err)
	}
	_, err = w.insert.told.ExecContext(ctx, k.Index, string(text))
	return err
}

// limitsIn adds to ticks what the table told has of them.
func (r *Run) limitsIn(ctx context.Context, byIndex map[int]*tally.Tick, within []any) error {
	if !r.told {
		return nil // written before limits were read
	}
	return r.each(ctx, "SELECT tick, limits FROM told WHERE tick BETWEEN ? AND ? ORDER BY tick", within, func(scan func(...any) error) error {
		var tick int
		var text []byte
		if err := scan(&tick, &text); err != nil {
			return err
		}
		var row limitsRow
		if err := json.Unmarshal(text, &row); err != nil {
			return fmt.Errorf("%w (limits: %w)", ErrDamaged, err)
		}
		l := row.Limits
		for _, x := range row.Work {
			var total, held *hist.Hist
			if err := decodeHists([]field{{&total, x.Total}, {&held, x.HeldFor}}); err != nil {
				return err
			}
			x.Work.Total, x.Work.HeldFor = total, held
			l.Work = append(l.Work, x.Work)
		}
		if k := byIndex[tick]; k != nil {
			k.Limits = &l
		}
		return nil
	})
}
