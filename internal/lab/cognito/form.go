package cognito

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// form holds the parameters of the token endpoint that mean something here.
// The values point into the buffers that were parsed.
type form struct {
	grantType    []byte
	clientID     []byte
	clientSecret []byte
	scope        []byte
	refreshToken []byte
	code         []byte
	redirectURI  []byte
}

var errForm = errors.New("malformed form")

// parse adds the parameters of an application/x-www-form-urlencoded text,
// decoding in place. A known parameter that comes twice, in one text or in two,
// is an error (RFC 6749 §3.2), as is a broken %-escape; unknown ones are skipped.
func (f *form) parse(text []byte) error {
	for len(text) > 0 {
		var pair []byte
		if i := bytes.IndexByte(text, '&'); i >= 0 {
			pair, text = text[:i], text[i+1:]
		} else {
			pair, text = text, nil
		}
		if len(pair) == 0 {
			continue
		}
		key, value := pair, []byte{}
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			key, value = pair[:i], pair[i+1:]
		}
		key, ok := unescape(key)
		if !ok {
			return errForm
		}
		slot := f.slot(key)
		if slot == nil {
			continue
		}
		if *slot != nil {
			return errForm
		}
		if value, ok = unescape(value); !ok {
			return errForm
		}
		*slot = value
	}
	return nil
}

func (f *form) slot(key []byte) *[]byte {
	switch string(key) {
	case "grant_type":
		return &f.grantType
	case "client_id":
		return &f.clientID
	case "client_secret":
		return &f.clientSecret
	case "scope":
		return &f.scope
	case "refresh_token":
		return &f.refreshToken
	case "code":
		return &f.code
	case "redirect_uri":
		return &f.redirectURI
	}
	return nil
}

// unescape decodes + and %XX in place.
func unescape(b []byte) ([]byte, bool) {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return b, true
	}
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, false
			}
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi > 15 || lo > 15 {
				return nil, false
			}
			c = hi<<4 | lo
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n], true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// maxBasic bounds the decoded credentials: Cognito's client ids are at most 128
// characters and its secrets at most 64 (API reference, UserPoolClientType).
const maxBasic = 512

// parseBasic reads an Authorization header of the Basic scheme into buf, which
// must have room for maxBasic bytes. The secret is what follows the first colon.
func parseBasic(header string, buf []byte) (id, secret []byte, ok bool) {
	const scheme = "Basic "
	if len(header) < len(scheme) || !equalFold(header[:len(scheme)], scheme) {
		return nil, nil, false
	}
	encoded := header[len(scheme):]
	for len(encoded) > 0 && encoded[0] == ' ' {
		encoded = encoded[1:]
	}
	if base64.StdEncoding.DecodedLen(len(encoded)) > maxBasic {
		return nil, nil, false
	}
	plain, err := base64.StdEncoding.AppendDecode(buf[:0], []byte(encoded))
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(plain, []byte(":"))
}

// equalFold is strings.EqualFold for ASCII, without its Unicode surprises.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i]|0x20 != b[i]|0x20 {
			return false
		}
	}
	return true
}
