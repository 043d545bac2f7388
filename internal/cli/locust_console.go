package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/locust/book"
)

// console is standard error as Locust uses it: log lines, tables and the
// script's own output, one at a time.
type console struct {
	session *session
	mu      sync.Mutex // guards what follows, and what is written
	level   string
	host    string
	silent  bool // --skip-log-setup
	file    *os.File
}

// Write writes whole pieces: several parts of the program share the terminal.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.stderr.Write(b)
}

// open finds out where log lines go.
func (c *console) open(o *locustOptions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	host, _ := os.Hostname()
	c.host, _, _ = strings.Cut(host, ".")
	c.level, c.silent = o.LogLevel, o.SkipLog
	if o.LogFile == "" || o.SkipLog {
		return nil
	}
	f, err := os.OpenFile(o.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return cannotRun("choose another place for --logfile", "--logfile: cannot write %s: %v", o.LogFile, bare(err))
	}
	c.file = f
	return nil
}

var logLevels = []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

// log writes a line in the form of Python's logging as Locust sets it up.
func (c *console) log(level, logger, text string) {
	c.mu.Lock()
	silent, least, host, file := c.silent, c.level, c.host, c.file
	c.mu.Unlock()
	if silent || slices.Index(logLevels, level) < slices.Index(logLevels, strings.ToUpper(least)) {
		return
	}
	line := fmt.Sprintf("[%s] %s/%s/%s: %s\n", strings.Replace(time.Now().Format("2006-01-02 15:04:05.000"), ".", ",", 1), host, level, logger, text)
	if file != nil {
		file.WriteString(line) // as with any log: there is nobody to tell
		return
	}
	io.WriteString(c, line)
}

// columns is the width of the terminal, 0 without one. Locust asks standard
// output, too, although its tables go to standard error.
func (c *console) columns() int {
	if tty, size := isTerminal(c.session.stdout); tty {
		n, _ := size()
		return n
	}
	return 0
}

// table prints the table of requests, in one piece.
func (c *console) table(b *book.Book, current bool) {
	var t strings.Builder
	if n := c.columns(); n > 0 && n < book.WidthOfTables {
		b.WriteNarrowTable(&t, n, current) // it cannot fail
	} else {
		b.WriteTable(&t, book.NameWidth(n), current)
	}
	io.WriteString(c, t.String())
}

// padding is what ends a line without being seen.
var padding = regexp.MustCompile(`(?m) +$`)

// rest prints the tables that end a run.
func (c *console) rest(b *book.Book) {
	var t strings.Builder
	n := c.columns()
	if n > 0 && n < book.WidthOfTables {
		b.WriteNarrowPercentiles(&t, n)
	} else {
		b.WritePercentiles(&t, book.NameWidth(n))
	}
	b.WriteErrors(&t, book.NameWidth(n))
	text := t.String()
	if n > 0 { // Locust fills lines up with spaces, which a terminal would break
		text = padding.ReplaceAllString(text, "")
	}
	io.WriteString(c, text)
}
