package hitlog

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/weir-dev/weir/internal/hit"
)

func TestEveryHit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hits.jsonl")
	l, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for u := range 8 {
		all.Go(func() {
			for range 1000 {
				l.Add(&hit.Hit{User: u, Method: "GET", Name: "/", Outcome: hit.Throttled, Status: 429})
			}
		})
	}
	all.Wait()
	written, dropped, err := l.Close()
	if written != 8000 || dropped != 0 || err != nil {
		t.Fatalf("Close = %d, %d, %v", written, dropped, err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, n := hit.NewDecoder(f), int64(0)
	var h hit.Hit
	for d.Decode(&h) == nil {
		if h.Seq != n || h.Status != 429 {
			t.Fatalf("line %d is %+v", n, h)
		}
		n++
	}
	if n != 8000 {
		t.Errorf("%d lines", n)
	}
}

// stuck is a disk that does nothing until it is let go, and is full then.
type stuck struct{ free chan struct{} }

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return 0, errors.New("the disk is full")
}
func (s *stuck) Close() error { return nil }

// TestNobodyWaits: on a disk that hangs, Add returns at once, and every hit that is
// not in the file is counted.
func TestNobodyWaits(t *testing.T) {
	s := &stuck{free: make(chan struct{})}
	l := start(s)
	const n = buffer + 20_000
	for range n {
		l.Add(&hit.Hit{Name: "/"})
	}
	close(s.free)
	written, dropped, err := l.Close()
	if err == nil || dropped == 0 || written+dropped < n || written+dropped > n+1 {
		t.Errorf("Close = %d written, %d dropped, %v; want %d together and the error", written, dropped, err, n)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	l := start(&stuck{free: make(chan struct{})})
	h := &hit.Hit{Name: "/"}
	if n := testing.AllocsPerRun(1000, func() { l.Add(h) }); n > 0 {
		t.Errorf("Add allocates %v times", n)
	}
}
