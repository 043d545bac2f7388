// Package weir_test holds the house: the rules that keep the tree readable,
// each of them checked by parsing the files.
//
// It parses rather than asking the go command, because the test cache cannot
// see what a child process reads and would stay green on a broken tree.
package weir_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/weir-dev/weir"

// floors lists every package with its floor. A package imports only packages
// of lower floors. Numbers with a fraction order the rooms of one floor.
var floors = map[string]float64{
	"limit":                       0.0,
	"internal/hist":               0.0,
	"internal/form":               0.0,
	"internal/junit":              0.0,
	"internal/yaml":               0.0,
	"internal/pace":               0.0,
	"internal/crowd":              0.0,
	"internal/hit":                0.1,
	"internal/header":             0.2,
	"internal/httpfile":           0.2,
	"internal/expr":               0.25,
	"internal/policy":             0.3,
	"internal/policy/apim":        0.35,
	"internal/policy/envoy":       0.35,
	"internal/tally":              0.3,
	"internal/track":              0.3,
	"internal/retry":              0.3,
	"internal/gauge":              0.35,
	"internal/forecast":           1,
	"internal/probe":              1,
	"internal/keyscope":           1.1,
	"internal/drill":              1.2,
	"internal/drill/cloudwatch":   2.2,
	"internal/drill/tenant":       2.2,
	"internal/drill/alertmanager": 2.2,
	"internal/verify":             1,
	"internal/verify/verifytest":  1.2,
	"internal/threshold":          0.4,
	"limit/limittest":             1,
	"internal/load":               1,
	"internal/locust/book":        1,
	"internal/locust/page":        2.1,
	"internal/locust":             2.2,
	"internal/cookie":             1,
	"internal/leaks":              1,
	"internal/feed":               1,
	"internal/enforce":            1,
	"internal/tenantlog":          1,
	"internal/guard":              1.1,
	"internal/enforce/redis":      2,
	"internal/wake":               2,
	"internal/selfwatch":          2,
	"internal/target":             2,
	"internal/recorder":           2,
	"limit/limithttp":             2.05,
	"internal/gate/rls":           2.05,
	"internal/gate/tenant":        2.05,
	"internal/gate":               2.1,
	"internal/lab/stand":          2,
	"internal/lab/twin":           2.1,
	"internal/lab/apim":           2.1,
	"internal/lab/auth0":          2.1,
	"internal/lab/aws/wire":       2.0,
	"internal/lab/aws/cloudwatch": 2.01,
	"internal/lab/aws/logs":       2.01,
	"internal/lab/aws/queues":     2.01,
	"internal/lab/aws/topics":     2.01,
	"internal/lab/aws":            2.12,
	"internal/lab/cognito":        2.1,
	"internal/lab/plain":          2.1,
	"internal/lab/sns":            2.1,
	"internal/lab/sms":            2.15,
	"internal/lab":                2.2,
	"internal/runfile":            2,
	"internal/watch":              2,
	"internal/watch/postgres":     2.1,
	"internal/watch/prometheus":   2.1,
	"internal/sink":               2.1,
	"internal/sink/price":         2,
	"internal/sink/hitlog":        2,
	"internal/account":            2.12,
	"internal/sink/cloudwatch":    2.15,
	"internal/sink/otlp":          2.15,
	"internal/sink/prometheus":    2.15,
	"internal/watch/cloudwatch":   2.15,
	"internal/report":             2,
	"internal/script":             2,
	"internal/convert":            2,
	"internal/cli":                3,
	"cmd/weir":                    4,
}

// groundBans are what floor 0 may not import, and what it may not call:
// it holds values only, so an hour of it is tested in a millisecond.
var groundBans = []string{"os", "net", "net/http", "log", "log/slog", "sync", "sync/atomic", "syscall", "os/exec"}

type file struct {
	path string // slash-separated, relative to the root
	dir  string
	test bool
	ast  *ast.File
	src  []byte
}

// goFiles parses every Go file of the module, once for all tests.
func goFiles(t *testing.T) (*token.FileSet, []file) {
	t.Helper()
	p := parsed()
	if p.err != nil {
		t.Fatal(p.err)
	}
	if len(p.files) < 40 {
		t.Fatalf("found only %d Go files: the walk is broken", len(p.files))
	}
	return p.fset, p.files
}

type tree struct {
	fset  *token.FileSet
	files []file
	err   error
}

var parsed = sync.OnceValue(func() tree {
	fset := token.NewFileSet()
	var files []file
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != "." {
				return filepath.SkipDir // a module of its own, such as bench
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(p)
		files = append(files, file{path: slash, dir: path.Dir(slash), test: strings.HasSuffix(p, "_test.go"), ast: f, src: src})
		return nil
	})
	return tree{fset, files, err}
})

func imports(f file) []string {
	var out []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestFloors(t *testing.T) {
	fset, files := goFiles(t)
	seen := map[string]bool{}
	edges := 0
	for _, f := range files {
		if f.dir == "." || strings.HasPrefix(f.dir, "examples") || strings.HasPrefix(f.dir, "bench") { // the public package, and what uses it: above everything
			continue
		}
		own, listed := floors[f.dir]
		if !listed {
			t.Errorf("%s: package %s is not listed in floors: say where it lives", f.path, f.dir)
			continue
		}
		seen[f.dir] = true
		if f.test {
			continue // tests may look up: they are not in the binary
		}
		for i, imp := range imports(f) {
			if own < 1 && slices.Contains(groundBans, imp) {
				t.Errorf("%s: floor 0 holds values only and may not import %q", fset.Position(f.ast.Imports[i].Pos()), imp)
			}
			rel, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			edges++
			below, ok := floors[rel]
			if ok && below >= own {
				t.Errorf("%s: %s (floor %v) may not import %s (floor %v)", fset.Position(f.ast.Imports[i].Pos()), f.dir, own, rel, below)
			}
		}
		if own < 1 {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Since", "Until"}, s.Sel.Name) {
						t.Errorf("%s: floor 0 takes time as an argument and may not call time.%s", fset.Position(s.Pos()), s.Sel.Name)
					}
				}
				return true
			})
		}
	}
	if edges < 20 {
		t.Fatalf("checked only %d imports between our packages: the test is broken", edges)
	}
	for dir := range floors {
		if !seen[dir] {
			t.Errorf("floors lists %s, which does not exist", dir)
		}
	}
}

func TestPackageDocs(t *testing.T) {
	_, files := goFiles(t)
	docs := map[string][]string{}
	for _, f := range files {
		if f.test || f.dir == "." {
			continue
		}
		if _, ok := docs[f.dir]; !ok {
			docs[f.dir] = nil
		}
		if f.ast.Doc != nil {
			docs[f.dir] = append(docs[f.dir], f.ast.Doc.Text())
		}
	}
	if len(docs) < 10 {
		t.Fatalf("found only %d packages", len(docs))
	}
	for dir, texts := range docs {
		if len(texts) != 1 {
			t.Errorf("%s has %d package comments, want exactly one", dir, len(texts))
			continue
		}
		name := path.Base(dir)
		if !strings.HasPrefix(texts[0], "Package "+name+" ") && !strings.HasPrefix(texts[0], "Command "+name+" ") {
			t.Errorf("%s: the package comment must begin with %q, got %.60q", dir, "Package "+name, texts[0])
		}
	}
}

func TestNoInitNoDrawers(t *testing.T) {
	fset, files := goFiles(t)
	for _, f := range files {
		switch base := strings.TrimSuffix(path.Base(f.path), ".go"); base {
		case "utils", "util", "common", "types", "helpers", "misc":
			t.Errorf("%s: name the file after what is in it", f.path)
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: no init functions: wire it where it is used", fset.Position(fn.Pos()))
			}
		}
	}
}

// TestNoMutableGlobals holds that a package-level variable is never assigned
// outside its declaration (tests excepted): what changes is a field of a value.
func TestNoMutableGlobals(t *testing.T) {
	fset, files := goFiles(t)
	globals := map[string]map[string]bool{} // dir → names
	for _, f := range files {
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR || f.test {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if n.Name == "_" {
						continue
					}
					if globals[f.dir] == nil {
						globals[f.dir] = map[string]bool{}
					}
					globals[f.dir][n.Name] = true
				}
			}
		}
	}
	for _, f := range files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			local := declaredIn(fn)
			ast.Inspect(fn, func(n ast.Node) bool {
				a, ok := n.(*ast.AssignStmt)
				if !ok || a.Tok == token.DEFINE {
					return true
				}
				for _, l := range a.Lhs {
					if id, ok := l.(*ast.Ident); ok && globals[f.dir][id.Name] && !local[id.Name] {
						t.Errorf("%s: package variable %s is assigned: make it a field", fset.Position(id.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
}

// declaredIn returns the names that a function declares itself: those are not
// the package's variables, even where they are called alike.
func declaredIn(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(es ...ast.Expr) {
		for _, e := range es {
			if id, ok := e.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Field:
			for _, id := range x.Names {
				names[id.Name] = true
			}
		case *ast.AssignStmt:
			if x.Tok == token.DEFINE {
				add(x.Lhs...)
			}
		case *ast.RangeStmt:
			if x.Tok == token.DEFINE {
				add(x.Key, x.Value)
			}
		case *ast.ValueSpec:
			for _, id := range x.Names {
				names[id.Name] = true
			}
		}
		return true
	})
	return names
}

func TestFileSizes(t *testing.T) {
	_, files := goFiles(t)
	for _, f := range files {
		if n := strings.Count(string(f.src), "\n"); n > 600 && !f.test {
			t.Errorf("%s has %d lines: is it one room, or several?", f.path, n)
		}
	}
}

// TestSkipsSayWhy holds that a test which cannot run here says why, and that
// under CI it fails instead: the only way to skip is through a helper that does both.
func TestSkipsSayWhy(t *testing.T) {
	fset, files := goFiles(t)
	for _, f := range files {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			body := string(f.src[fset.Position(fn.Pos()).Offset:fset.Position(fn.End()).Offset])
			ast.Inspect(fn, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || (s.Sel.Name != "Skip" && s.Sel.Name != "Skipf" && s.Sel.Name != "SkipNow") {
					return true
				}
				if x, ok := s.X.(*ast.Ident); !ok || (x.Name != "t" && x.Name != "tb" && x.Name != "b") {
					return true
				}
				allowed := false
				for _, reason := range []string{`"CI"`, "testing.Short()", "runtime.GOOS", "raceEnabled", "rapid.Check"} { // rapid's Skip only drops one draw
					allowed = allowed || strings.Contains(body, reason)
				}
				if !allowed {
					t.Errorf("%s: a skip must fail under CI: look at os.Getenv(\"CI\") in the same function", fset.Position(s.Pos()))
				}
				return true
			})
		}
	}
}

// TestPatience holds that tests which look for goroutines left behind give those that are
// about to end the time that a busy machine needs: by package leaks, and not by goleak alone.
func TestPatience(t *testing.T) {
	fset, files := goFiles(t)
	patient := 0
	for _, f := range files {
		if f.dir == "internal/leaks" {
			continue
		}
		if f.test && slices.Contains(imports(f), module+"/internal/leaks") {
			patient++
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Find", "VerifyNone", "VerifyTestMain"}, s.Sel.Name) {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "goleak" {
					t.Errorf("%s: goleak waits less than half a second: call package leaks", fset.Position(s.Pos()))
				}
			}
			return true
		})
	}
	if patient < 5 {
		t.Fatalf("found only %d files that look for goroutines: the search is broken", patient)
	}
}

// TestEveryVerbHasAHome holds that one guess finds any verb: its code, its
// guide, its script tests and its line in the README.
func TestEveryVerbHasAHome(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	verbs := []string{"run", "lab", "report", "demo", "convert", "policy", "gate", "verify", "forecast", "logs", "probe", "locust", "drill"}
	for _, v := range verbs {
		if _, err := os.Stat("internal/cli/" + v + ".go"); err != nil {
			t.Errorf("verb %s: %v", v, err)
		}
		if _, err := os.Stat("docs/" + v + ".md"); err != nil {
			t.Errorf("verb %s: %v", v, err)
		}
		scripts, _ := filepath.Glob("internal/cli/testdata/script/" + v + "*.txtar")
		if len(scripts) == 0 {
			t.Errorf("verb %s has no script in internal/cli/testdata/script", v)
		}
		if !strings.Contains(string(readme), "weir "+v) {
			t.Errorf("verb %s is not in README.md", v)
		}
	}
}

// TestNothingOfThisMachine holds that no file names the machine it was written
// on, a package registry, or work that is not done.
func TestNothingOfThisMachine(t *testing.T) {
	bad := regexp.MustCompile(`/` + `work/|/` + `root/|/` + `tmp/bash|gopro` + `xy\.|proxy\.gol` + `ang|registry\.n` + `pm|\bTO` + `DO\b|FIX` + `ME\b|coming ` + `soon|not imple` + `mented`)
	// The expression is slow, and nearly no file has a word that it may match.
	words := [][]byte{[]byte("/" + "work/"), []byte("/" + "root/"), []byte("/" + "tmp/bash"), []byte("gopro" + "xy"), []byte("proxy.gol" + "ang"),
		[]byte("registry.n" + "pm"), []byte("TO" + "DO"), []byte("FIX" + "ME"), []byte("coming " + "soon"), []byte("not imple" + "mented")}
	if n := strings.Count(bad.String(), "|") + 1; n != len(words) {
		t.Fatalf("%d words for %d expressions", len(words), n)
	}
	checked := 0
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "fuzz" || p == "bin" || p == ".cache" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(p) {
		case ".go", ".md", ".sh", ".yaml", ".yml", ".json", ".txtar", ".limit", ".html", ".css", ".js", ".mod", "":
		default:
			return nil
		}
		if strings.HasSuffix(p, ".min.js") || p == "LICENSE" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		checked++
		if !slices.ContainsFunc(words, func(w []byte) bool { return bytes.Contains(b, w) }) {
			return nil
		}
		if m := bad.FindIndex(b); m != nil {
			line := 1 + strings.Count(string(b[:m[0]]), "\n")
			t.Errorf("%s:%d: %q does not belong in the repository", p, line, b[m[0]:m[1]])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 40 {
		t.Fatalf("checked only %d files", checked)
	}
}

func TestArchitectureIsShort(t *testing.T) {
	b, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 200 {
		t.Errorf("ARCHITECTURE.md has %d lines, want at most 200", n)
	}
	for dir := range floors {
		if !strings.Contains(string(b), dir) {
			t.Errorf("ARCHITECTURE.md does not name %s", dir)
		}
	}
}
