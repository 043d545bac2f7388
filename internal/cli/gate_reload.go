package cli

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
)

// readPolicies reads a policy file.
func readPolicies(name string) (*policy.File, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("", "--policy: %v", err)
	}
	f, _, err := readPolicy(name, b)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	return f, nil
}

// gateReload reads a gate's files again: on SIGHUP, and when they change.
type gateReload struct {
	gate   *gate.Gate
	rls    *rls.Service       // nil without Envoy's service
	certs  *gate.Certificates // nil without TLS
	log    *logFile
	policy string
	known  guard.Known
	say    func(format string, args ...any)
}

// watchEvery is how often --watch-config looks. The files are compared by what
// is in them: times and sizes are not always told, and a volume of Kubernetes
// changes a link.
const watchEvery = time.Second

// run serves until ctx ends.
func (r *gateReload) run(ctx context.Context, watch bool) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var tick <-chan time.Time
	if watch {
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		tick = t.C
	}
	seenPolicy, seenCerts := fingerprint(r.policy), r.fingerprintCerts()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			r.log.reopen(r.say)
			seenPolicy, seenCerts = fingerprint(r.policy), r.fingerprintCerts()
			r.policies()
			r.certificates()
		case <-tick:
			if now := fingerprint(r.policy); now != seenPolicy {
				seenPolicy = now
				r.policies()
			}
			if now := r.fingerprintCerts(); now != seenCerts {
				seenCerts = now
				r.certificates()
			}
		}
	}
}

func (r *gateReload) policies() {
	f, err := readPolicies(r.policy)
	before := r.gate.File()
	if err == nil {
		err = r.gate.Reload(f)
	} else {
		r.gate.ReloadFailed(err)
	}
	if err == nil && r.rls != nil {
		if err = r.rls.Replace(f); err != nil {
			r.gate.Reload(before) // both have the old file, or both the new one
			r.gate.ReloadFailed(err)
		}
	}
	if err != nil {
		r.say("the policies stay as they were: %v", err)
		return
	}
	r.say("%s was read again; limits in force: %d", filepath.Base(r.policy), len(f.Policies))
	for _, warning := range blind(f, r.known) {
		r.say("warning: %s", warning)
	}
}

func (r *gateReload) certificates() {
	if r.certs == nil || len(r.certs.Files()) == 0 {
		return
	}
	if err := r.certs.Reload(); err != nil {
		r.say("the certificate stays as it was: %v", err)
		return
	}
	r.say("the certificate was read again")
}

// fingerprint stands for what is in a file; a file that cannot be read has one too.
func fingerprint(name string) [sha256.Size]byte {
	b, err := os.ReadFile(name)
	if err != nil {
		return sha256.Sum256([]byte(err.Error()))
	}
	return sha256.Sum256(b)
}

func (r *gateReload) fingerprintCerts() (sum [sha256.Size]byte) {
	if r.certs == nil {
		return sum
	}
	h := sha256.New()
	for _, f := range r.certs.Files() {
		one := fingerprint(f)
		h.Write(one[:])
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// logFile is a file to append to that can be opened anew after others have moved
// it away, as logrotate does.
type logFile struct {
	name string

	mu sync.Mutex // guards w
	w  io.Writer
}

// openLog opens a log; "" is none, and - is standard error.
func openLog(name string, stderr io.Writer) (*logFile, error) {
	l := &logFile{name: name, w: io.Discard}
	switch name {
	case "":
	case "-":
		l.name, l.w = "", stderr
	default:
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
		if err != nil {
			return nil, err
		}
		l.w = f
	}
	return l, nil
}

// Write appends to the file.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (l *logFile) reopen(say func(format string, args ...any)) {
	if l.name == "" {
		return
	}
	f, err := os.OpenFile(l.name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		say("the access log stays where it was: %v", err)
		return
	}
	l.mu.Lock()
	old := l.w
	l.w = f
	l.mu.Unlock()
	if c, ok := old.(io.Closer); ok {
		c.Close()
	}
}

// Close closes the file.
func (l *logFile) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.w.(*os.File); ok && l.name != "" {
		f.Close()
	}
}
