package locust

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The Python side. Go's embed leaves out nothing with all:, so what does not
// belong there is left out by packaged.
//
//go:embed all:python
var embedded embed.FS

// packaged reports whether a file of the folder belongs to what is unpacked.
func packaged(path string) bool {
	return strings.HasSuffix(path, ".py") && !strings.HasPrefix(path, "python/tests/") && !strings.Contains(path, "/__pycache__/")
}

// eachFile calls do with the files of the Python side, in order, their names
// relative to its folder.
func eachFile(do func(name string, text []byte) error) error {
	return fs.WalkDir(embedded, "python", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !packaged(path) {
			return err
		}
		text, err := embedded.ReadFile(path)
		if err != nil {
			return err
		}
		return do(strings.TrimPrefix(path, "python/"), text)
	})
}

// unpack returns a folder with the Python side, which is the same for all runs
// of this version: in the user's cache. Where there is no place for that, it is a
// temporary one, which is to be removed.
func unpack() (dir string, temporary bool, err error) {
	sum := sha256.New()
	if err := eachFile(func(name string, text []byte) error {
		sum.Write([]byte(name + "\x00"))
		sum.Write(text)
		return nil
	}); err != nil {
		return "", false, err
	}
	name := "locust-" + hex.EncodeToString(sum.Sum(nil))[:16]
	if cache, err := os.UserCacheDir(); err == nil {
		if dir, err := unpackIn(filepath.Join(cache, "weir"), name); err == nil {
			return dir, false, nil
		}
	}
	if dir, err = os.MkdirTemp("", "weir-locust-"); err != nil {
		return "", false, err
	}
	return dir, true, writeFiles(dir)
}

// unpackIn unpacks into a folder below parent, unless it is there already.
func unpackIn(parent, name string) (string, error) {
	dir := filepath.Join(parent, name)
	if intact(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(parent, name+".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := writeFiles(tmp); err != nil {
		return "", err
	}
	if _, err := os.Lstat(dir); err == nil { // damaged: others may be using it, so it is moved and not emptied
		old, err := os.MkdirTemp(parent, name+".old-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(old)
		_ = os.Rename(dir, filepath.Join(old, "damaged")) // when somebody else was faster, the next step tells
	}
	if err := os.Rename(tmp, dir); err != nil && !intact(dir) {
		return "", err
	}
	return dir, nil
}

// intact reports whether every file is there as it should be.
func intact(dir string) bool {
	return eachFile(func(name string, text []byte) error {
		have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(have, text) {
			return os.ErrInvalid
		}
		return nil
	}) == nil
}

func writeFiles(dir string) error {
	return eachFile(func(name string, text []byte) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o600)
	})
}
