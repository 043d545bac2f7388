// Package redis keeps the counts of enforce in Redis or Valkey: a Store, which
// many processes share. Each decision is one script, with the server's clock, so
// the processes need no common one.
//
// # Exactness
//
// The scripts decide what package limit decides at instants of whole
// microseconds. They count in integers below 2^53, so windows, phases and delays
// must be whole microseconds, and Prepare refuses numbers too large.
//
// # Keys
//
// There is one key for each policy (or counter) and key of it, named
//
//	weir:{hash of the key}:name of the policy:hash of its shape
//
// Keys themselves are not sent, only the first 128 bits of their SHA-256. The
// braces put all that concerns one key in one slot of a cluster. A request that
// asks several entries is one script and decided at once, except in a cluster
// when its asks have different keys: then it is one script for each key, in the
// order of the asks; the first that refuses ends it, and what was taken before
// stays taken.
//
// Every key expires when what it holds matters no longer, and a second later.
//
// # What a server must be
//
// Redis 5 or later, Valkey, or what speaks like them. It must not evict keys
// (maxmemory-policy noeviction or volatile-ttl): a key evicted is a limit given
// anew.
package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
)

// Options say where the server is, and how to talk to it.
type Options struct {
	// Addresses are host:port, or the path of a Unix socket; of a cluster, some
	// of its nodes.
	Addresses []string

	Username string
	Password string
	DB       int         // which database; must be 0 in a cluster
	Cluster  bool        // the servers are a cluster
	TLS      *tls.Config // nil: no TLS

	// Prefix begins the name of every key. Empty means "weir".
	Prefix string

	// Origin is where the windows of a quota without a Start count from: the same
	// for all processes. Zero means the Unix epoch.
	Origin time.Time

	// HoldFor is how long what a concurrency limit admitted is held when nobody
	// gives it back, because its process has died. It must be longer than any
	// request lasts. Zero means 5 minutes.
	HoldFor time.Duration

	// ConnectIn is the longest that a connection may take to be made. Zero means
	// one second. No decision waits for it.
	ConnectIn time.Duration

	// Now, for tests only, is the clock to use instead of the server's; keys then
	// live for an hour.
	Now func() time.Time

	// Lazy, with Now, writes only what has changed, as without Now; otherwise
	// every instant seen is kept, so that they may run backwards.
	Lazy bool
}

// Store keeps counts in a server. Make one with New, and Close it. It implements
// enforce.Store.
type Store struct {
	o       Options
	owner   string // names this process
	holders atomic.Uint64
	skew    atomic.Int64 // of the server's clock against ours, µs; known when periods have differed
	client  atomic.Pointer[valkey.Client]
	ending  context.Context
	end     context.CancelFunc
	work    sync.WaitGroup
	lastErr atomic.Pointer[string]

	takes          [1 << len(kinds)]atomic.Pointer[valkey.Lua] // by the kinds that a request needs
	release, gates *valkey.Lua
}

var (
	//go:embed take.lua
	takeScript string
	//go:embed release.lua
	releaseScript string
	//go:embed gates.lua
	gatesScript string
)

// gatesFor is how long a process is counted that has not been heard of.
const gatesFor = 5 * time.Second

// New returns a store. It does not wait for the server: until there is a
// connection, decisions fail at once.
func New(o Options) (*Store, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("redis: no address; give host:port, or the path of a Unix socket")
	}
	if o.DB < 0 || o.Cluster && o.DB != 0 {
		return nil, fmt.Errorf("redis: database %d: must not be negative, and 0 in a cluster", o.DB)
	}
	if o.Prefix == "" {
		o.Prefix = "weir"
	}
	if o.HoldFor <= 0 {
		o.HoldFor = 5 * time.Minute
	}
	if o.ConnectIn <= 0 {
		o.ConnectIn = time.Second
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("redis: no random name for this process: %w", err)
	}
	s := &Store{
		o: o, owner: hex.EncodeToString(id[:]) + ".",
		release: valkey.NewLuaScript(releaseScript), gates: valkey.NewLuaScript(gatesScript),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.work.Go(s.connect)
	return s, nil
}

// connect makes the client, again and again until it is there. From then on the
// client renews its connections by itself.
func (s *Store) connect() {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		c, err := valkey.NewClient(valkey.ClientOption{
			InitAddress: s.o.Addresses,
			Username:    s.o.Username, Password: s.o.Password, SelectDB: s.o.DB, TLSConfig: s.o.TLS,
			DialCtxFn:         dial,
			Dialer:            net.Dialer{Timeout: s.o.ConnectIn},
			ConnWriteTimeout:  s.o.ConnectIn,
			ClientName:        "weir",
			ForceSingleClient: !s.o.Cluster,
			DisableRetry:      true, // a script that got no answer may have run
			DisableCache:      true,
			PipelineMultiplex: -1,   // one connection: requests under way share their reads and writes
			AlwaysPipelining:  true, // so that a deadline ends the wait and not the connection
			// One decision is some hundred bytes.
			ReadBufferEachConn: 32 << 10, WriteBufferEachConn: 32 << 10,
		})
		if err == nil {
			s.client.Store(&c)
			return
		}
		text := err.Error()
		s.lastErr.Store(&text)
		select {
		case <-s.ending.Done():
			return
		case <-time.After(pause):
		}
	}
}

// kinds are those of take.lua.
var kinds = [...]string{"level", "refill", "window", "first", "last", "period", "two", "log", "held", "ban"}

// need is a set of kinds.
type need uint16

func needs(kind string) need { return 1 << slices.Index(kinds[:], kind) }

// script returns take.lua with the kinds that are needed.
func (s *Store) script(n need) *valkey.Lua {
	if l := s.takes[n].Load(); l != nil {
		return l
	}
	l := valkey.NewLuaScript(assemble(takeScript, n))
	s.takes[n].Store(l)
	return l
}

// assemble leaves out the lines of a script after one that begins with "-->" and
// names only kinds that are not needed.
func assemble(script string, n need) string {
	var b strings.Builder
	wanted := true
	for line := range strings.Lines(script) {
		if names, ok := strings.CutPrefix(line, "-->"); ok {
			of := strings.Fields(names)
			wanted = len(of) == 0 || slices.ContainsFunc(of, func(kind string) bool { return needs(kind)&n != 0 })
			continue
		}
		if wanted {
			b.WriteString(line)
		}
	}
	return b.String()
}

// dial reaches a host:port, or the path of a Unix socket.
func dial(ctx context.Context, address string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	if t != nil {
		return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, network, address)
	}
	return d.DialContext(ctx, network, address)
}

// Close ends the connections. Nothing may be asked afterwards.
func (s *Store) Close() {
	s.end()
	if c := s.client.Load(); c != nil {
		(*c).Close()
	}
	s.work.Wait()
	if c := s.client.Load(); c != nil {
		(*c).Close() // it came in between
	}
}

// errNotConnected is returned while there is no connection yet.
type errNotConnected struct{ why string }

func (e errNotConnected) Error() string {
	if e.why == "" {
		return "redis: not connected yet"
	}
	return "redis: not connected: " + e.why
}

// run runs a script, and never waits longer than ctx.
func (s *Store) run(ctx context.Context, script *valkey.Lua, keys, args []string) (valkey.ValkeyResult, error) {
	c := s.client.Load()
	if c == nil {
		e := errNotConnected{}
		if text := s.lastErr.Load(); text != nil {
			e.why = *text
		}
		return valkey.ValkeyResult{}, e
	}
	// Subtle: the client heeds the context while it waits for an answer, but not
	// while another caller makes a new connection (mux.go of valkey-go 1.0.79).
	answer := make(chan valkey.ValkeyResult, 1)
	s.work.Go(func() { answer <- script.Exec(ctx, *c, keys, args) })
	select {
	case r := <-answer:
		if err := r.Error(); err != nil {
			return r, fmt.Errorf("redis: %w", err)
		}
		return r, nil
	case <-ctx.Done():
		return valkey.ValkeyResult{}, fmt.Errorf("redis: no answer in time: %w", ctx.Err())
	}
}

// Gates implements enforce.Store.
func (s *Store) Gates(ctx context.Context) (int, error) {
	r, err := s.run(ctx, s.gates, []string{s.o.Prefix + ":{gates}"}, []string{s.owner, strconv.FormatInt(gatesFor.Milliseconds(), 10)})
	if err != nil {
		return 0, err
	}
	n, err := r.AsInt64()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	return max(1, int(n)), nil
}
