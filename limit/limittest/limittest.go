package limittest

import (
	"embed"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

//go:embed testdata/*.limit
var testdata embed.FS

// Scripts returns the scripts that this project's own limiters are held to: a
// file system with the .limit files at its root.
func Scripts() fs.FS {
	scripts, err := fs.Sub(testdata, "testdata")
	if err != nil {
		panic(err) // cannot happen: the directory is embedded above
	}
	return scripts
}

// Load reads every .limit file of a file system, in lexical order.
func Load(fsys fs.FS) ([]*Script, error) {
	var scripts []*Script
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".limit") {
			return err
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		s, err := Parse(path, string(text))
		if err != nil {
			return err
		}
		scripts = append(scripts, s)
		return nil
	})
	return scripts, err
}

// Run plays every .limit file of a file system against the subject, each as a
// subtest named after the file. A script that asks for what the subject cannot
// do is skipped. Run fails when there is no script, and when every one was
// skipped.
func Run(t *testing.T, newSubject New, fsys fs.FS) {
	t.Helper()
	scripts, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("no .limit file found")
	}
	played := 0
	for _, s := range scripts {
		t.Run(strings.TrimSuffix(s.Name, ".limit"), func(t *testing.T) {
			_, err := s.Play(newSubject)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			}
			played++
			if err != nil {
				t.Error(err)
			}
		})
	}
	if played == 0 && !t.Failed() {
		t.Errorf("all of %d scripts were skipped", len(scripts))
	}
}
