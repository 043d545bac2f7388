package forecast

import (
	"time"

	"github.com/weir-dev/weir/internal/hist"
)

// Result is what became of a model's work. Its slices follow those of the model.
type Result struct {
	Flows  []FlowResult
	Limits []LimitResult
	Column time.Duration // the width of the series
	Ended  time.Duration // Model.For, or less when Run was told to stop at the first refusal
}

// FlowResult is what became of a flow. Arrived is the sum of Done, GaveUp and
// Unfinished.
type FlowResult struct {
	Arrived    int64
	Done       int64
	GaveUp     int64 // refused, and not tried again
	Unfinished int64 // under way at the end

	Sent    int64 // calls, with every attempt
	Refused int64 // of them
	Cached  int64 // calls that a cache made needless

	First time.Duration // of the refusals; -1 when there was none

	Took    hist.Hist // from arrival to the last answer, of those done
	Columns []FlowColumn
	Calls   []CallResult
}

// FlowColumn is a stretch of time as a flow saw it.
type FlowColumn struct {
	Arrived, Done, GaveUp int64
	Sent, Refused         int64 // calls
}

// CallResult is what became of one call of a flow.
type CallResult struct{ Sent, Refused int64 }

// LimitResult is what a limit met.
type LimitResult struct {
	Asked   int64 // calls, with every attempt
	Refused int64 // of them, by this limit
	Excess  int64 // let pass above the limit, because of its allotment

	First, Last time.Duration // of the refusals; -1 when there was none
	Dry         time.Duration // the sum of the columns in which something was refused
	Least       int64         // the least that was left, as far as the limit was the binding one
	Blocks      int           // of its allotment, spent
	BlocksOut   time.Duration // when the last block was spent; -1 when some are left

	Columns []LimitColumn
}

// LimitColumn is a stretch of time as a limit saw it.
type LimitColumn struct {
	Asked, Refused int64
	Remaining      int64 // the least left that was seen, or what was left at the end; of one client, where each has its own
}
