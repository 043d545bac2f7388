package report

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/tally"
)

func ticksOf(run Run) []*tally.Tick {
	var out []*tally.Tick
	for k := range run.Ticks {
		out = append(out, k)
	}
	return out
}

func liveOn(v *vt, run Run, mode Mode) *Live {
	return NewLive(v, LiveOptions{Mode: mode, Meta: run.Meta, MaxRequests: 20000, MaxThrottled: 5000, Size: func() (int, int) { return v.cols, v.rows }})
}

func TestLiveFrames(t *testing.T) {
	dir := filepath.Join("testdata", "frames")
	n, all := 0, stories()
	for _, c := range []struct {
		name, story string
		cols, rows  int
		seconds     int
		ascii       bool
	}{
		{"start", "ramp", 80, 24, 0, false},
		{"before-onset", "ramp", 80, 24, 18, false},
		{"after-onset", "ramp", 80, 24, 45, false},
		{"end", "ramp", 80, 24, 60, false},
		{"ascii", "ramp", 80, 24, 45, true},
		{"narrow", "ramp", 40, 24, 45, false},
		{"low", "ramp", 80, 10, 45, false},
		{"tiny", "ramp", 20, 4, 45, false},
		{"wide", "ramp", 132, 40, 45, false},
		{"stall", "stall", 80, 24, 40, false},
		{"hostile", "hostile", 80, 24, 8, false},
	} {
		n++
		run := all[c.story]
		v := newVT(t, c.cols, c.rows)
		l := liveOn(v, run, Mode{Redraw: true, Color: true, ASCII: c.ascii})
		l.Draw(0)
		for _, k := range ticksOf(run)[:c.seconds] {
			l.Tick(k)
			l.Draw(k.Start + k.Length)
		}
		if !v.hidden {
			t.Errorf("%s: the cursor blinks in the frame", c.name)
		}
		if len(v.scrolled) > 0 {
			t.Errorf("%s: the frame scrolled: %q", c.name, v.scrolled)
		}
		got := v.String()
		path := filepath.Join(dir, c.name+".txt")
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: frame\n%swant\n%s", c.name, got, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if left := v.String(); left != "\n" || v.hidden {
			t.Errorf("%s: Close left, with the cursor hidden %v:\n%s", c.name, v.hidden, left)
		}
	}
	if n != 11 {
		t.Fatalf("%d frames, want 11", n)
	}
}

// What stood on the terminal before stays there, and the next output follows it.
func TestLiveLeavesTheScreenAlone(t *testing.T) {
	run := rampRun()
	v := newVT(t, 80, 40)
	v.Write([]byte("$ weir run\r\n"))
	l := liveOn(v, run, Mode{Redraw: true})
	for _, k := range ticksOf(run) {
		l.Tick(k)
		l.Draw(k.Start + k.Length)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	l.Tick(ticksOf(run)[0])
	l.Draw(time.Hour)
	v.Write([]byte("PASSED\r\n"))
	if got := v.String(); got != "$ weir run\nPASSED\n" {
		t.Errorf("screen:\n%s", got)
	}
	if v.colors != 0 {
		t.Errorf("%d colour codes without Color", v.colors)
	}
}

func TestLiveAfterResize(t *testing.T) {
	run := rampRun()
	ticks := ticksOf(run)
	sizes := [][2]int{{100, 30}, {50, 30}, {50, 12}, {120, 40}, {40, 24}, {100, 30}}
	for _, reflow := range []bool{false, true} {
		v := newVT(t, 100, 30)
		l := liveOn(v, run, Mode{Redraw: true})
		for i, k := range ticks {
			if s := sizes[i/10]; s != [2]int{v.cols, v.rows} {
				v.resize(s[0], s[1], reflow)
			}
			l.Tick(k)
			l.Draw(k.Start + k.Length)
			if i%5 != 0 {
				continue
			}
			fresh := newVT(t, v.cols, v.rows)
			f := liveOn(fresh, run, Mode{Redraw: true})
			for _, k := range ticks[:i+1] {
				f.Tick(k)
			}
			f.Draw(k.Start + k.Length)
			if v.String() != fresh.String() {
				t.Fatalf("reflow %v, second %d at %d × %d: the screen differs from a fresh one\n%s\n%s", reflow, i, v.cols, v.rows, v.String(), fresh.String())
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if v.String() != "\n" {
			t.Errorf("reflow %v: left behind:\n%s", reflow, v.String())
		}
	}
}

// No size and no run makes a line too long or a frame too high: vt fails on both.
func TestLiveFitsEverySize(t *testing.T) {
	runs := []string{"ramp", "hostile", "stall"}
	all := stories()
	rapid.Check(t, func(rt *rapid.T) {
		cols, rows := rapid.IntRange(1, 140).Draw(rt, "cols"), rapid.IntRange(1, 50).Draw(rt, "rows")
		run := all[rapid.SampledFrom(runs).Draw(rt, "run")]
		ticks := ticksOf(run)
		v := newVT(t, cols, rows)
		l := liveOn(v, run, Mode{Redraw: true, Color: true})
		for _, k := range ticks[:min(rapid.SampledFrom([]int{0, 1, 8, 26}).Draw(rt, "seconds"), len(ticks))] {
			l.Tick(k)
		}
		l.Draw(time.Minute)
		l.Draw(2 * time.Minute)
		if t.Failed() || len(v.scrolled) > 0 {
			rt.Fatalf("%d × %d: scrolled %q", cols, rows, v.scrolled)
		}
	})
}

func TestLiveDrawsAtMostFourTimesASecond(t *testing.T) {
	run := rampRun()
	v := newVT(t, 80, 24)
	l := liveOn(v, run, Mode{Redraw: true})
	for at := time.Duration(0); at < 10*time.Second; at += 10 * time.Millisecond {
		if at%time.Second == 0 {
			l.Tick(ticksOf(run)[at/time.Second])
		}
		l.Draw(at)
	}
	if v.writes > 40 || v.writes < 39 {
		t.Errorf("%d frames in ten seconds, want 40", v.writes)
	}
}

func TestPlainLinesHaveNoControlCodes(t *testing.T) {
	n := 0
	for name, run := range stories() {
		n++
		var b bytes.Buffer
		l := NewLive(&b, LiveOptions{Meta: run.Meta})
		for _, k := range ticksOf(run) {
			l.Tick(k)
			l.Draw(k.Start)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for i, c := range b.Bytes() {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Fatalf("%s: control code %#x at %d: %q", name, c, i, b.String())
			}
		}
		if name == "ramp" {
			path := filepath.Join("testdata", "frames", "pipe.log")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("pipe: %s", firstDifference(b.Bytes(), want))
			}
			if got := strings.Count(b.String(), "admitted p50"); got != 12 {
				t.Errorf("%d lines of figures in a minute, want 12", got)
			}
			if strings.Count(b.String(), "throttling began") != 1 {
				t.Errorf("the onset is not told once:\n%s", b.String())
			}
		}
	}
	if n == 0 {
		t.Fatal("no stories")
	}
}

func TestTextHasColorOnlyWhenAsked(t *testing.T) {
	n := 0
	for name, run := range stories() {
		s := build(t, run)
		for _, width := range []int{40, 80, 120} {
			n++
			var plainText, colored bytes.Buffer
			if err := s.WriteText(&plainText, TextOptions{Width: width}); err != nil {
				t.Fatal(err)
			}
			if err := s.WriteText(&colored, TextOptions{Width: width, Color: true}); err != nil {
				t.Fatal(err)
			}
			if strings.ContainsRune(plainText.String(), '\x1b') {
				t.Errorf("%s: escape codes without Color", name)
			}
			stripped := sgrCodes.ReplaceAllString(colored.String(), "")
			if stripped != plainText.String() || colored.Len() == plainText.Len() {
				t.Errorf("%s: colour changes the text", name)
			}
			for _, l := range strings.Split(plainText.String(), "\n") {
				if cells(l) > width {
					t.Errorf("%s: %d cells at width %d: %q", name, cells(l), width, l)
				}
			}
		}
	}
	if n != 30 {
		t.Fatalf("%d texts, want 30", n)
	}
}

func TestDetectMode(t *testing.T) {
	env := func(kv ...string) func(string) string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return func(k string) string { return m[k] }
	}
	cases := []struct {
		tty  bool
		env  func(string) string
		want Mode
	}{
		{true, env("TERM", "xterm-256color", "LANG", "ja_JP.UTF-8"), Mode{Redraw: true, Color: true}},
		{false, env("TERM", "xterm", "LANG", "C.UTF-8"), Mode{}},
		{true, env("TERM", "dumb", "LANG", "C.UTF-8"), Mode{}},
		{true, env("LANG", "C.UTF-8"), Mode{}},
		{true, env("TERM", "xterm", "NO_COLOR", "1", "LANG", "C.UTF-8"), Mode{Redraw: true}},
		{true, env("TERM", "xterm", "NO_COLOR", "", "LANG", "C.utf8"), Mode{Redraw: true, Color: true}},
		{true, env("TERM", "xterm", "LANG", "C"), Mode{Redraw: true, Color: true, ASCII: true}},
		{true, env("TERM", "xterm", "LC_ALL", "POSIX", "LANG", "C.UTF-8"), Mode{Redraw: true, Color: true, ASCII: true}},
		{true, env("TERM", "xterm"), Mode{Redraw: true, Color: true}},
	}
	for i, c := range cases {
		if got := DetectMode(c.tty, c.env); got != c.want {
			t.Errorf("case %d: %+v, want %+v", i, got, c.want)
		}
	}
}

type brokenPipe struct{ writes int }

func (b *brokenPipe) Write([]byte) (int, error) { b.writes++; return 0, os.ErrClosed }

func TestLiveKeepsTheFirstWriteError(t *testing.T) {
	w := &brokenPipe{}
	l := NewLive(w, LiveOptions{})
	for _, k := range ticksOf(rampRun()) {
		l.Tick(k)
	}
	if err := l.Close(); !errors.Is(err, os.ErrClosed) || w.writes != 1 {
		t.Errorf("Close = %v after %d writes, want %v after 1", err, w.writes, os.ErrClosed)
	}
}

func TestLiveFromSeveralGoroutines(t *testing.T) {
	run := rampRun()
	l := NewLive(&lockedBuffer{}, LiveOptions{Mode: Mode{Redraw: true, Color: true}, Meta: run.Meta})
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, k := range ticksOf(run) {
			l.Tick(k)
		}
	})
	wg.Go(func() {
		for at := range 500 {
			l.Draw(time.Duration(at) * time.Second)
		}
	})
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
