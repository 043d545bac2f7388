package load

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func boom() { panic("boom") }

func TestAside(t *testing.T) {
	ran := false
	Aside(func() { ran = true })
	if !ran {
		t.Error("it did not run")
	}

	// A panic keeps its text and its place.
	s := &Session{}
	fails := func() (err error) {
		defer s.rescue(&err)
		Aside(boom)
		return nil
	}
	if err := fails(); err == nil || !strings.HasPrefix(err.Error(), "panic: boom at aside_test.go:") || !strings.HasSuffix(err.Error(), "boom)") {
		t.Errorf("a panic became %v", err)
	}
	over := func() (err error) {
		defer s.rescue(&err)
		Aside(func() { panic(leave{}) })
		return nil
	}
	if err := over(); !errors.Is(err, errOver) {
		t.Errorf("the end of the run became %v", err)
	}

	// The end of the goroutine is that of the caller's.
	left := make(chan bool)
	go func() {
		after := false
		defer func() { left <- after }()
		Aside(runtime.Goexit)
		after = true
	}()
	if <-left {
		t.Error("the caller went on after Goexit")
	}
}
