package probe

import (
	"testing"
	"time"
)

// A server whose first answer took a second hides no queue with it.
func TestSlowFirstAnswerHidesNoQueue(t *testing.T) {
	p := New(nil, nil, Options{})
	at := time.Unix(1_700_000_000, 0)
	wave := func(took ...time.Duration) {
		var answers []Answer
		for _, d := range took {
			answers = append(answers, Answer{Sent: at, Done: at.Add(d)})
		}
		at = at.Add(took[len(took)-1] + time.Second)
		p.take(answers, "")
		p.bound()
	}
	const ms = time.Millisecond
	wave(1200 * ms)
	for range 5 {
		wave(3*ms, 100*ms, 200*ms, 300*ms, 400*ms, 500*ms)
	}
	if last := p.sights[len(p.sights)-1]; last.queue != 5 || last.slack > 0.1 {
		t.Errorf("the latest wave: slow for the %d. time, slack %v s; want the 5. time", last.queue, last.slack)
	}
	if p.sights[0].queue != 0 {
		t.Error("the first wave, of one request, waited in no queue")
	}
}
