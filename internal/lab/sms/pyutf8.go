package sms

import (
	"fmt"
	"unicode/utf8"
)

// decodeUTF8 decodes as Python's incremental decoder: strictly, except that a
// sequence cut off at the very end is dropped without a word.
func decodeUTF8(raw []byte) ([]rune, error) {
	text := make([]rune, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] < utf8.RuneSelf {
			text = append(text, rune(raw[i]))
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		if r != utf8.RuneError || n > 1 {
			text = append(text, r)
			i += n
			continue
		}
		good, want := prefix(raw[i:])
		switch {
		case want == 0:
			return nil, fmt.Errorf("'utf-8' codec can't decode byte 0x%02x in position %d: invalid start byte", raw[i], i)
		case i+good == len(raw):
			return text, nil
		case good == 1:
			return nil, fmt.Errorf("'utf-8' codec can't decode byte 0x%02x in position %d: invalid continuation byte", raw[i], i)
		}
		return nil, fmt.Errorf("'utf-8' codec can't decode bytes in position %d-%d: invalid continuation byte", i, i+good-1)
	}
	return text, nil
}

// prefix returns how many bytes at the head of b belong to one UTF-8 sequence
// (RFC 3629 §4), and how many the first byte asks for: 0 when it starts none.
func prefix(b []byte) (good, want int) {
	low, high := byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 2
	case c >= 0xe0 && c <= 0xef:
		want = 3
		if c == 0xe0 {
			low = 0xa0
		}
		if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		want = 4
		if c == 0xf0 {
			low = 0x90
		}
		if c == 0xf4 {
			high = 0x8f
		}
	default:
		return 0, 0
	}
	for good = 1; good < want && good < len(b) && b[good] >= low && b[good] <= high; good++ {
		low, high = 0x80, 0xbf
	}
	return good, want
}
