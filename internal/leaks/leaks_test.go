package leaks

import (
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	stop := make(chan struct{})
	go leftBehind(stop)
	if err := find(0); err == nil || !strings.Contains(err.Error(), "leftBehind") {
		t.Errorf("a goroutine that stays: %v", err)
	}
	// It ends while it is looked for, and later than goleak alone would wait.
	time.AfterFunc(time.Second, func() { close(stop) })
	if err := Find(); err != nil {
		t.Errorf("a goroutine that ends late: %v", err)
	}
}

func leftBehind(stop <-chan struct{}) { <-stop }
