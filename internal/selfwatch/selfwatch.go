// Package selfwatch lets the generator report on itself: a Sampler tells what
// this process has used since it was last asked.
package selfwatch

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Sampler measures this process between calls of Sample. Not safe for
// concurrent use; New makes one.
type Sampler struct {
	at    time.Time
	cpu   time.Duration
	pause time.Duration
	gc    debug.GCStats
	heap  [1]metrics.Sample
}

// New starts measuring.
func New() *Sampler {
	s := &Sampler{}
	s.heap[0].Name = "/memory/classes/heap/objects:bytes"
	s.Sample()
	return s
}

// Sample tells what was used since the last call, or since New. What the system
// does not tell is zero. Lost is not known here.
func (s *Sampler) Sample() tally.Health {
	now, cpu := time.Now(), cpuTime()
	debug.ReadGCStats(&s.gc)
	metrics.Read(s.heap[:])
	h := tally.Health{
		Cores:      runtime.GOMAXPROCS(0),
		GCPause:    s.gc.PauseTotal - s.pause,
		Goroutines: runtime.NumGoroutine(),
	}
	if wall := now.Sub(s.at); !s.at.IsZero() && wall > 0 {
		h.CPU = (cpu - s.cpu).Seconds() / wall.Seconds()
	}
	if v := s.heap[0].Value; v.Kind() == metrics.KindUint64 {
		h.HeapBytes = v.Uint64()
	}
	h.Files, h.FileLimit = Files()
	s.at, s.cpu, s.pause = now, cpu, s.gc.PauseTotal
	return h
}
