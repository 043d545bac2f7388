package cli

import (
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// ports hands out ports of the loopback address on which nothing listens, each once.
// They are below those that systems give to connections, so that no other program
// comes by one before it is used; and they are drawn, so that several runs of these
// tests do not meet.
type ports struct {
	mu   sync.Mutex
	used map[int]bool
}

var freePorts = &ports{used: map[int]bool{}}

func (p *ports) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		if p.used[port] {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		l.Close()
		p.used[port] = true
		return port
	}
	panic("no port from 10000 to 29999 is free")
}

// fixedPort is an address that a guide or a script listens on or asks.
var fixedPort = regexp.MustCompile(`127\.0\.0\.1:(9[0-9]{3})\b`)

// moved returns a text with other ports for its fixed ones, the same for the same.
func moved(text string, to map[string]string) string {
	return fixedPort.ReplaceAllStringFunc(text, func(addr string) string {
		if to[addr] == "" {
			to[addr] = "127.0.0.1:" + strconv.Itoa(freePorts.next())
		}
		return to[addr]
	})
}

// moveFiles is moved for the files of a folder.
func moveFiles(dir string, to map[string]string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !fixedPort.Match(text) {
			return err
		}
		return os.WriteFile(path, []byte(moved(string(text), to)), 0o644)
	})
}

func TestMoved(t *testing.T) {
	to := map[string]string{}
	got := moved("--addr 127.0.0.1:9301 & curl http://127.0.0.1:9301/ 127.0.0.1:9302 127.0.0.1:90 127.0.0.1:99999", to)
	a, b := to["127.0.0.1:9301"], to["127.0.0.1:9302"]
	if len(to) != 2 || a == b || got != "--addr "+a+" & curl http://"+a+"/ "+b+" 127.0.0.1:90 127.0.0.1:99999" || strings.Contains(got, "930") && !strings.Contains(a+b, "930") {
		t.Errorf("%q, %v", got, to)
	}
}
