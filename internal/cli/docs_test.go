package cli

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDocs runs every console block of README.md and docs/*.md: each line that
// begins with "$ " is given to bash, in a fresh folder for each file, with weir
// on the path; the lines below it must come out. Numbers are compared by shape
// only, since a measurement differs each time, and "..." stands for any lines.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and runs without -short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	files = append(files, filepath.Join(root, "README.md"))
	bin := t.TempDir()
	if err := os.Symlink(os.Args[0], filepath.Join(bin, "weir")); err != nil {
		t.Fatal(err)
	}
	blocks, reached := 0, new(atomic.Int64)
	t.Cleanup(func() {
		if n := reached.Load(); int(n) < blocks && !t.Failed() && !filtered() {
			t.Errorf("ran only %d of %d console blocks", n, blocks)
		}
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := consoleBlocks(string(text))
		blocks += len(found)
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			reached.Add(int64(len(found)))
			// Guides show what Weir finds on a machine that does nothing else. Where this
			// one is too busy for that, a load may be INVALID and a limit undecided.
			tries(t, func(differ *differences) {
				dir, addrs := t.TempDir(), map[string]string{}
				for _, b := range found {
					b.script = moved(b.script, addrs)
					out := runBlock(t, b, dir, bin, root)
					for _, want := range b.wants {
						if want.MatchString(out) {
							continue
						}
						differ.Errorf("%s:%d: the output differs from the guide\n--- want (numbers by shape)\n%s\n--- got\n%s", filepath.Base(file), b.line, want, out)
					}
				}
			})
		})
	}
	if blocks < 30 {
		t.Fatalf("found only %d console blocks", blocks)
	}
}

// filtered tells whether -run asks for some guides only.
func filtered() bool { return strings.Contains(flag.Lookup("test.run").Value.String(), "/") }

// TestGuidesUsePortsOfTheirOwn lets readers go on from one guide to the next while
// what they started goes on. The tests themselves move them to ports that are free.
func TestGuidesUsePortsOfTheirOwn(t *testing.T) {
	guides, _ := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	scripts, _ := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	port := regexp.MustCompile(`--?(?:addr|listen|check|rls|admin)[ =]+127\.0\.0\.1:([1-9][0-9]+)`)
	owner := map[string]string{}
	for _, file := range append(guides, scripts...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body := string(text)
		if strings.HasSuffix(file, ".md") {
			body = ""
			for _, b := range consoleBlocks(string(text)) {
				body += b.script
			}
		}
		for _, m := range port.FindAllStringSubmatch(body, -1) {
			if other, taken := owner[m[1]]; taken && other != file {
				t.Errorf("%s and %s both listen on port %s", other, file, m[1])
			}
			owner[m[1]] = file
		}
	}
	if len(owner) < 5 {
		t.Errorf("found only %d ports: the search is broken", len(owner))
	}
}

type consoleBlock struct {
	line   int
	script string
	wants  []*regexp.Regexp // one per stretch of lines between "..."
}

func consoleBlocks(text string) []consoleBlock {
	var blocks []consoleBlock
	var cur *consoleBlock
	var stretch []string
	flush := func() {
		if len(stretch) > 0 {
			cur.wants = append(cur.wants, regexp.MustCompile(`(?m)`+strings.Join(stretch, `\s*\n\s*`)))
			stretch = nil
		}
	}
	continued := false
	for i, l := range strings.Split(text, "\n") {
		switch {
		case cur == nil && l == "```console":
			cur = &consoleBlock{line: i + 1}
		case cur == nil:
		case l == "```":
			flush()
			blocks = append(blocks, *cur)
			cur = nil
		case continued || l == "$" || strings.HasPrefix(l, "$ "):
			flush()
			l = strings.TrimPrefix(strings.TrimPrefix(l, "$"), " ")
			cur.script += l + "\n"
			continued = strings.HasSuffix(l, `\`)
		case strings.TrimSpace(l) == "..." || strings.TrimSpace(l) == "":
			flush()
		default:
			stretch = append(stretch, shape(l))
		}
	}
	return blocks
}

var (
	numbers = regexp.MustCompile(`[0-9][0-9,.:]*(µs|ms|s\b|%|/s)?`)
	spaces  = regexp.MustCompile(`\s+`)
)

// shape turns a line of a guide into an expression that matches the same line
// with other figures.
func shape(line string) string {
	q := regexp.QuoteMeta(strings.TrimSpace(line))
	q = regexp.MustCompile(`(\\)?[▁▂▃▄▅▆▇█░▒▓](\\?[▁▂▃▄▅▆▇█░▒▓ ])*`).ReplaceAllString(q, `\S.*`)
	q = strings.ReplaceAll(q, `\.`, ".")
	q = numbers.ReplaceAllString(q, `[0-9][0-9,.:]*(µs|ms|s|%|/s)?`)
	return spaces.ReplaceAllString(q, `\s+`)
}

func runBlock(t *testing.T, b consoleBlock, dir, bin, root string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	// What a block starts in the background ends with the block.
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -m\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"+b.script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NO_COLOR=1", "WEIR_ROOT="+root)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("line %d: the block did not end in 4 minutes:\n%s\n%s", b.line, b.script, out)
	}
	_ = err // a block may end with the exit code of a failed verdict; what it prints is what counts
	return string(out)
}
