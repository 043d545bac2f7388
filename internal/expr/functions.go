package expr

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// library is the functions beside those of CEL itself: its extension for
// strings, and sha256.
//
// Subtle: CEL counts the cost of a function when it has returned. Most cost what
// their arguments have in bytes, but replace and join multiply: two texts of a
// megabyte make a terabyte, and the process is gone before anything is counted.
// So these have implementations here that look first.
func library() []cel.EnvOption {
	text, number := cel.StringType, cel.IntType
	return []cel.EnvOption{
		ext.Strings(ext.StringsMaxPrecision(100)),
		cel.Function("sha256", cel.Overload("sha256_string", []*cel.Type{text}, text, cel.UnaryBinding(digest))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_string_string_int", []*cel.Type{text, text, text, number}, text, cel.FunctionBinding(replace))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{cel.ListType(text)}, text, cel.UnaryBinding(func(list ref.Val) ref.Val { return join(list, types.String("")) })),
			cel.MemberOverload("list_join_string", []*cel.Type{cel.ListType(text), text}, text, cel.BinaryBinding(join))),
	}
}

func digest(v ref.Val) ref.Val {
	text, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	sum := sha256.Sum256([]byte(text))
	return types.String(hex.EncodeToString(sum[:]))
}

// replace is text.replace(old, new) and text.replace(old, new, times).
func replace(args ...ref.Val) ref.Val {
	var parts [3]string
	for i := range parts {
		part, ok := args[i].(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[i])
		}
		parts[i] = string(part)
	}
	text, before, after := parts[0], parts[1], parts[2]
	times := strings.Count(text, before)
	if len(args) == 4 {
		n, ok := args[3].(types.Int)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[3])
		}
		if n >= 0 {
			times = int(min(int64(times), int64(n)))
		}
	}
	if int64(len(text))+int64(times)*int64(len(after)-len(before)) > maxText {
		return tooLong()
	}
	return types.String(strings.Replace(text, before, after, times))
}

// join is list.join() and list.join(separator).
func join(list, separator ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	between, text := separator.(types.String)
	if !ok || !text {
		return types.MaybeNoSuchOverloadErr(list)
	}
	var b strings.Builder
	for it, i := l.Iterator(), 0; it.HasNext() == types.True; i++ {
		part, ok := it.Next().(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(list)
		}
		if b.Len()+len(part)+len(between) > maxText {
			return tooLong()
		}
		if i > 0 {
			b.WriteString(string(between))
		}
		b.WriteString(string(part))
	}
	return types.String(b.String())
}

func tooLong() ref.Val { return types.NewErr("a text is too long") }
