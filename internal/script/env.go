package script

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// env is env("NAME", default): an environment variable.
func env(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "env(…)")
	if err != nil {
		return nil, err
	}
	var name string
	var standard starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "default?", &standard); err != nil {
		return nil, err
	}
	if v, ok := l.s.opts.Getenv(name); ok {
		return starlark.String(v), nil
	}
	if standard == nil {
		return nil, fmt.Errorf("the environment variable %s is not set: export %[1]s=…, or give a default: env(%q, \"…\")", name, name)
	}
	return standard, nil
}

// secret is secret("NAME"): an environment variable whose value never shows.
func secret(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "secret(…)")
	if err != nil {
		return nil, err
	}
	var name string
	if len(args) > 1 || len(kwargs) > 0 {
		return nil, errors.New("secret takes one name: a default in the file would be no secret")
	}
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	v, ok := l.s.opts.Getenv(name)
	if !ok || v == "" {
		return nil, fmt.Errorf("the environment variable %s is not set: export %[1]s=…", name)
	}
	l.s.secrets.add(v)
	return starlark.String(v), nil
}

// masked is what stands in the place of a secret.
const masked = "[secret]"

// secrets are the texts that must not show. They are added while the files are
// loaded, on one goroutine, and only read afterwards.
type secrets struct{ words []string }

// add keeps v and the forms in which it may turn up.
func (s *secrets) add(v string) {
	json := string(appendQuoted(nil, v))
	quoted := starlark.String(v).String()
	for _, w := range []string{
		v, json[1 : len(json)-1], quoted[1 : len(quoted)-1], url.QueryEscape(v), url.PathEscape(v),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(v)), "="), hex.EncodeToString([]byte(v)),
		inURL(v), strconv.QuoteToASCII(v)[1 : len(strconv.QuoteToASCII(v))-1],
	} {
		if !slices.Contains(s.words, w) {
			s.words = append(s.words, w)
		}
	}
	// The longest first: one may be part of another.
	slices.SortStableFunc(s.words, func(a, b string) int { return len(b) - len(a) })
}

// inURL is v as a client writes it that escapes only what a URL cannot hold.
func inURL(v string) string {
	var b strings.Builder
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Mask replaces in text every value that secret() returned.
func (s *Script) Mask(text string) string { return s.secrets.mask(text) }

// mask replaces every secret in text.
func (s *secrets) mask(text string) string {
	for _, w := range s.words {
		if strings.Contains(text, w) {
			text = strings.ReplaceAll(text, w, masked)
		}
	}
	return text
}

// clean returns err without secrets.
func (s *secrets) clean(err error) error {
	if err == nil || len(s.words) == 0 {
		return err
	}
	var e *Error
	if errors.As(err, &e) && err == error(e) {
		c := *e
		c.Msg = s.mask(c.Msg)
		return &c
	}
	if text := err.Error(); s.mask(text) != text {
		return errors.New(s.mask(text))
	}
	return err
}
