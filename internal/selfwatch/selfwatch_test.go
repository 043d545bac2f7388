package selfwatch

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestSample(t *testing.T) {
	s := New()
	// Until the clock of the process says that it has run: no time is assumed.
	begun := cpuTime()
	for n := 0; cpuTime() == begun && n < 1e8; n++ {
	}
	runtime.GC()
	h := s.Sample()
	if h.Cores != runtime.GOMAXPROCS(0) || h.Goroutines < 1 || h.HeapBytes == 0 {
		t.Errorf("Sample() = %+v", h)
	}
	if h.GCPause <= 0 {
		t.Errorf("GCPause = %v after a collection", h.GCPause)
	}
	if cpuTime() > 0 && (h.CPU <= 0 || h.CPU > float64(runtime.NumCPU())+1) {
		t.Errorf("CPU = %v cores", h.CPU)
	}
	runtime.GC()
	total := s.pause
	if again := s.Sample(); again.GCPause != s.pause-total {
		t.Errorf("GCPause of the second sample = %v", again.GCPause)
	}
}

func TestFiles(t *testing.T) {
	before, limit := Files()
	if before == 0 && runtime.GOOS != "linux" {
		t.Skip("skipped: not known on this system")
	}
	var files []*os.File
	for range 7 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	after, _ := Files()
	if after != before+7 || limit < after {
		t.Errorf("Files() = %d of %d after 7 more than %d", after, limit, before)
	}
	for _, f := range files {
		_ = f.Close()
	}
	if end, _ := Files(); end != before {
		t.Errorf("Files() = %d after closing, want %d", end, before)
	}
}

func TestWaiting(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := New()
	if d := s.Waiting(0.5); d < 0 || d > time.Minute {
		t.Errorf("Waiting(0.5) of a new sampler = %v", d)
	}
	// One processor that is kept busy: the others have to wait for it.
	done := make(chan struct{})
	for range 50 {
		go func() {
			for start := time.Now(); time.Since(start) < 2*time.Millisecond; {
			}
			done <- struct{}{}
		}()
	}
	for range 50 {
		<-done
	}
	if d := s.Waiting(0.9); d < time.Millisecond {
		t.Errorf("Waiting(0.9) = %v after 50 goroutines queued for 2 ms each, want more than 1 ms", d)
	}
	s.sched = nil
	if d := s.Waiting(0.9); d != 0 {
		t.Errorf("Waiting without a beginning = %v, want 0", d)
	}
}
