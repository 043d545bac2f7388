package report

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/term"
)

func TestLookLive(t *testing.T) {
	name := os.Getenv("LIVE")
	if name == "" {
		t.Skip()
	}
	run := stories()[name]
	l := NewLive(os.Stdout, LiveOptions{Mode: DetectMode(term.IsTerminal(1), os.Getenv), Meta: run.Meta, MaxThrottled: 5000,
		Size: func() (int, int) { w, h, _ := term.GetSize(1); return w, h }})
	fmt.Println("$ weir run …")
	speed := 10
	for k := range run.Ticks {
		for i := range 4 {
			l.Draw(k.Start + time.Duration(i)*time.Second/4)
			time.Sleep(time.Second / 4 / time.Duration(speed))
		}
		l.Tick(k)
	}
	l.Draw(60*time.Second)
	time.Sleep(2 * time.Second)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("summary here")
}
