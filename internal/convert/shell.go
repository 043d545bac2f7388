package convert

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// word is one word of a command line.
type word struct {
	text string // with marks for shell variables
	at   *node
}

// shellWords returns the words of every curl command in a shell script.
func (b *builder) shellWords(src string) ([][]word, error) {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	trimmed := strings.TrimLeft(src, " \t\n")
	if strings.HasPrefix(trimmed, "$ ") { // copied with its prompt
		src = strings.Replace(src, "$ ", "  ", 1)
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(src), b.o.Name)
	if err != nil {
		e := &Error{File: b.o.Name, Msg: "this command line cannot be read"}
		var pe syntax.ParseError
		var le syntax.LangError
		switch {
		case errors.As(err, &pe):
			e.Line, e.Col, e.Msg = int(pe.Pos.Line()), int(pe.Pos.Col()), "the shell could not read this: "+short(pe.Text, 200)
		case errors.As(err, &le):
			e.Line, e.Col = int(le.Pos.Line()), int(le.Pos.Col())
		}
		return nil, e
	}
	var commands [][]word
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.FuncDecl:
			return false // noted where a word needs it
		case *syntax.CallExpr:
			var words []word
			for _, w := range n.Args {
				text := b.word(w.Parts, place(w))
				words = append(words, word{text, place(w)})
			}
			if len(words) == 0 {
				return false
			}
			name := words[0].text
			if name != "curl" && name != "curl.exe" && !strings.HasSuffix(name, "/curl") {
				b.note(words[0].at, "the command %s", short(commandName(name), 40))
				return false
			}
			commands = append(commands, words[1:])
			return false
		}
		return true
	})
	if len(commands) == 0 {
		return nil, &Error{File: b.o.Name, Line: 1, Col: 1, Msg: "there is no curl command in it"}
	}
	return commands, nil
}

// commandName leaves out everything but what a command is called.
func commandName(s string) string {
	if hasMark(s) {
		return "in a variable"
	}
	return s
}

func place(n syntax.Node) *node {
	return &node{line: int(n.Pos().Line()), col: int(n.Pos().Col())}
}

// word expands a word as bash does, apart from patterns and ~.
func (b *builder) word(parts []syntax.WordPart, at *node) string {
	var s strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			s.WriteString(unescape(p.Value, ""))
		case *syntax.SglQuoted:
			if p.Dollar {
				s.WriteString(clean(ansiC(p.Value)))
			} else {
				s.WriteString(p.Value)
			}
		case *syntax.DblQuoted:
			for _, q := range p.Parts {
				if lit, ok := q.(*syntax.Lit); ok {
					s.WriteString(unescape(lit.Value, "$`\"\\"))
				} else {
					s.WriteString(b.word([]syntax.WordPart{q}, at))
				}
			}
		case *syntax.ParamExp:
			if p.Param != nil && p.Exp == nil && p.Slice == nil && p.Repl == nil && p.Index == nil && !p.Length && !p.Excl && envName(p.Param.Value) {
				s.WriteString(b.outside(p.Param.Value))
				continue
			}
			b.note(at, "what the shell computes here: it has to be set as CURL_VALUE")
			s.WriteString(b.env("CURL_VALUE", nil))
		default:
			b.note(at, "the output of a command inside the command line: it has to be set as CURL_VALUE")
			s.WriteString(b.env("CURL_VALUE", nil))
		}
	}
	return s.String()
}

// outside stands for a variable of the environment.
func (b *builder) outside(name string) string {
	if sensitive(name) {
		return b.envSecret(name)
	}
	return b.env(name, nil)
}

func envName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	}) && (s[0] > '9')
}

// unescape removes backslashes: before any character, or only before those of set.
func unescape(s, set string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch {
			case s[i+1] == '\n':
				i++
				continue
			case set == "" || strings.IndexByte(set, s[i+1]) >= 0:
				i++
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// ansiC decodes the inside of $'…' (Bash manual, "ANSI-C Quoting").
func ansiC(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		if j := strings.IndexByte("abefnrtvE", s[i]); j >= 0 {
			out = append(out, "\a\b\x1b\f\n\r\t\v\x1b"[j])
			continue
		}
		number := func(from, most, base int) (n uint64, end int) {
			end = from
			for end < len(s) && end-from < most {
				if _, err := strconv.ParseUint(s[end:end+1], base, 8); err != nil {
					break
				}
				end++
			}
			n, _ = strconv.ParseUint(s[from:end], base, 64)
			return n, end
		}
		switch c := s[i]; {
		case c >= '0' && c <= '7':
			n, end := number(i, 3, 8)
			out, i = append(out, byte(n)), end-1
		case c == 'x' || c == 'u' || c == 'U':
			n, end := number(i+1, map[byte]int{'x': 2, 'u': 4, 'U': 8}[c], 16)
			switch {
			case end == i+1:
				out = append(out, '\\', c)
			case c == 'x':
				out = append(out, byte(n))
			default:
				out = utf8.AppendRune(out, rune(min(n, utf8.MaxRune+1)))
			}
			i = end - 1
		case c == 'c' && i+1 < len(s):
			i++
			out = append(out, s[i]&0x1f)
		case strings.IndexByte(`\'"?`, c) >= 0:
			out = append(out, c)
		default:
			out = append(out, '\\', c)
		}
	}
	return string(out)
}
