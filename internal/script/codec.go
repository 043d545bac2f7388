package script

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

func base64Funcs() map[string]builtinFunc {
	return map[string]builtinFunc{
		"b64encode": encode64, "b64decode": decode64, "urlsafe_b64encode": encode64, "urlsafe_b64decode": decode64,
	}
}

// content reads one argument of text or bytes.
func content(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, name string) (string, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, name, &v); err != nil {
		return "", err
	}
	s, ok := textOf(v)
	if !ok {
		return "", fmt.Errorf("%s wants a text or bytes, not a %s", b.Name(), v.Type())
	}
	return s, nil
}

func encode64(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	if err != nil {
		return nil, err
	}
	enc := base64.StdEncoding
	if strings.HasPrefix(b.Name(), "urlsafe") {
		enc = base64.URLEncoding
	}
	return starlark.String(enc.EncodeToString([]byte(s))), nil
}

// decode64 takes both alphabets, with padding or without. What is no UTF-8 text
// comes as bytes, because Starlark's texts would lose it.
func decode64(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "s")
	if err != nil {
		return nil, err
	}
	out, err := anyBase64(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", b.Name(), err)
	}
	if !utf8.ValidString(out) {
		return starlark.Bytes(out), nil
	}
	return starlark.String(out), nil
}

func anyBase64(s string) (string, error) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", "\r", "", "\n", "").Replace(s), "=")
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("this is not base64")
	}
	return string(b), nil
}

func hashOf(name string) (func() hash.Hash, error) {
	switch name {
	case "md5":
		return md5.New, nil
	case "sha1":
		return sha1.New, nil
	case "sha256":
		return sha256.New, nil
	case "sha384":
		return sha512.New384, nil
	case "sha512":
		return sha512.New, nil
	}
	names := []string{"md5", "sha1", "sha256", "sha384", "sha512"}
	return nil, fmt.Errorf("there is no hash %q%s", name, suggest(name, names))
}

// digestOf is hashlib.sha256(data) and its like.
func digestOf(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "data")
	if err != nil {
		return nil, err
	}
	fn, err := hashOf(b.Name())
	if err != nil {
		return nil, err
	}
	h := fn()
	h.Write([]byte(s))
	return digest(h.Sum(nil)), nil
}

// newHMAC is hmac.new(key, msg, "sha256").
func newHMAC(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key, msg, kind starlark.Value
	if err := starlark.UnpackArgs("hmac.new", args, kwargs, "key", &key, "msg", &msg, "digestmod", &kind); err != nil {
		return nil, err
	}
	k, ok1 := textOf(key)
	m, ok2 := textOf(msg)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("hmac.new wants texts or bytes, not %s and %s", key.Type(), msg.Type())
	}
	name, ok := starlark.AsString(kind)
	if f, isFn := kind.(*starlark.Builtin); isFn {
		name, ok = f.Name(), true // hashlib.sha256, as in Python
	}
	if !ok {
		return nil, errors.New(`hmac.new: the third argument is the hash, such as "sha256"`)
	}
	fn, err := hashOf(name)
	if err != nil {
		return nil, err
	}
	h := hmac.New(fn, []byte(k))
	h.Write([]byte(m))
	return digest(h.Sum(nil)), nil
}

// digest is the value of a hash, with Python's methods.
type digest string

func (d digest) String() string        { return hex.EncodeToString([]byte(d)) }
func (d digest) Type() string          { return "digest" }
func (d digest) Freeze()               {}
func (d digest) Truth() starlark.Bool  { return true }
func (d digest) Hash() (uint32, error) { return starlark.String(d).Hash() }
func (d digest) AttrNames() []string   { return []string{"base64", "digest", "hexdigest"} }

func (d digest) Attr(name string) (starlark.Value, error) {
	var v starlark.Value
	switch name {
	case "hexdigest":
		v = starlark.String(d.String())
	case "digest":
		v = starlark.Bytes(d)
	case "base64":
		v = starlark.String(base64.StdEncoding.EncodeToString([]byte(d)))
	default:
		return nil, nil
	}
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return v, starlark.UnpackArgs(b.Name(), args, kwargs)
	}), nil
}

// decodeJWT is jwt.decode(token) and jwt.header(token): what a token says. Its
// signature is not looked at.
func decodeJWT(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s, err := content(b, args, kwargs, "token")
	if err != nil {
		return nil, err
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("jwt.%s: a token has three parts with dots between them, this one has %d", b.Name(), len(parts))
	}
	part := parts[1]
	if b.Name() == "header" {
		part = parts[0]
	}
	text, err := anyBase64(part)
	if err != nil {
		return nil, fmt.Errorf("jwt.%s: %v", b.Name(), err)
	}
	v, err := decodeJSON(t, starlark.String(text))
	if err != nil {
		return nil, fmt.Errorf("jwt.%s: the token holds no JSON", b.Name())
	}
	return v, nil
}
