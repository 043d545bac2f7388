package script

import (
	"fmt"
	"math"
	"strconv"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// round is round(x, ndigits = 0) of Python: to the nearest number with so many
// digits after the point, to the even one in the middle. Without ndigits it is whole.
func round(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var x, digits starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "number", &x, "ndigits?", &digits); err != nil {
		return nil, err
	}
	if i, ok := x.(starlark.Int); ok {
		return i, nil
	}
	f, ok := x.(starlark.Float)
	if !ok {
		return nil, fmt.Errorf("round: %s is no number", x.Type())
	}
	if digits == nil || digits == starlark.None {
		n, err := starlark.NumberToInt(starlark.Float(math.RoundToEven(float64(f))))
		if err != nil {
			return nil, fmt.Errorf("round: %w", err)
		}
		return n, nil
	}
	n := 0
	if err := starlark.AsInt(digits, &n); err != nil || n < 0 || n > 20 {
		return nil, fmt.Errorf("round: ndigits is %s, want 0 to 20", digits)
	}
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return f, nil
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'f', n, 64), 64)
	return starlark.Float(y), err
}

// sum is sum(iterable, start = 0) of numbers.
func sum(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var list starlark.Iterable
	total := starlark.Value(starlark.MakeInt(0))
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "iterable", &list, "start?", &total); err != nil {
		return nil, err
	}
	it := list.Iterate()
	defer it.Done()
	var x starlark.Value
	for it.Next(&x) {
		y, err := starlark.Binary(syntax.PLUS, total, x)
		if err != nil {
			return nil, fmt.Errorf("sum: %w", err)
		}
		total = y
	}
	return total, nil
}
