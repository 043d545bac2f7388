package script

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"go.starlark.net/starlark"
)

// randomFuncs is the module random, as Python's: drawn from the user's own
// source, so that a run with the same seed draws the same numbers.
func randomFuncs() map[string]builtinFunc {
	return map[string]builtinFunc{
		"random": randomFloat, "uniform": uniform, "randint": randint, "randrange": randrange, "choice": choice,
		"choices": choices, "sample": sample, "shuffle": shuffle, "gauss": gauss, "expovariate": expovariate, "text": randomText,
	}
}

func randomFloat(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	return starlark.Float(sourceOf(t).Float64()), nil
}

func floats2(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, n1, n2 string) (x, y float64, err error) {
	var v, w starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, n1, &v, n2, &w); err != nil {
		return 0, 0, err
	}
	x, ok1 := starlark.AsFloat(v)
	y, ok2 := starlark.AsFloat(w)
	if !ok1 || !ok2 {
		return 0, 0, fmt.Errorf("%s wants two numbers, not %s and %s", b.Name(), v.Type(), w.Type())
	}
	return x, y, nil
}

func uniform(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	low, high, err := floats2(b, args, kwargs, "a", "b")
	if err != nil {
		return nil, err
	}
	return starlark.Float(low + (high-low)*sourceOf(t).Float64()), nil
}

func gauss(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	mean, deviation, err := floats2(b, args, kwargs, "mu", "sigma")
	if err != nil {
		return nil, err
	}
	return starlark.Float(mean + deviation*sourceOf(t).NormFloat64()), nil
}

func expovariate(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "lambd", &v); err != nil {
		return nil, err
	}
	rate, ok := starlark.AsFloat(v)
	if !ok || !(rate > 0) {
		return nil, fmt.Errorf("expovariate(%s): want one divided by the mean", v)
	}
	return starlark.Float(sourceOf(t).ExpFloat64() / rate), nil
}

// between64 draws from [low, high].
func between64(r *rand.Rand, low, high int64) int64 {
	span := uint64(high) - uint64(low)
	if span == math.MaxUint64 {
		return int64(r.Uint64())
	}
	return int64(uint64(low) + r.Uint64N(span+1))
}

func randint(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var low, high int64
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "a", &low, "b", &high); err != nil {
		return nil, err
	}
	if high < low {
		return nil, fmt.Errorf("randint(%d, %d): the second number is the larger one", low, high)
	}
	return starlark.MakeInt64(between64(sourceOf(t), low, high)), nil
}

func randrange(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var start, step int64 = 0, 1
	var stop starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "start", &start, "stop?", &stop, "step?", &step); err != nil {
		return nil, err
	}
	end := start
	if stop == nil {
		start = 0
	} else {
		i, ok := stop.(starlark.Int)
		if !ok {
			return nil, fmt.Errorf("randrange: stop is a %s, want a whole number", stop.Type())
		}
		if end, ok = i.Int64(); !ok {
			return nil, fmt.Errorf("randrange: stop is too large")
		}
	}
	const most = math.MaxInt64 / 4
	if end <= start || step < 1 || end > most || start < -most {
		return nil, fmt.Errorf("randrange(%d, %d, %d) is empty", start, end, step)
	}
	n := (end-start-1)/step + 1
	return starlark.MakeInt64(start + step*sourceOf(t).Int64N(n)), nil
}

func indexable(b *starlark.Builtin, v starlark.Value) (starlark.Indexable, error) {
	list, ok := v.(starlark.Indexable)
	if !ok {
		return nil, fmt.Errorf("%s wants a list, not a %s", b.Name(), v.Type())
	}
	if list.Len() == 0 {
		return nil, fmt.Errorf("%s: the list is empty", b.Name())
	}
	return list, nil
}

func choice(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "seq", &v); err != nil {
		return nil, err
	}
	list, err := indexable(b, v)
	if err != nil {
		return nil, err
	}
	return list.Index(sourceOf(t).IntN(list.Len())), nil
}

// maxDrawn bounds how much one call may draw.
const maxDrawn = 1_000_000

func choices(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v, weights starlark.Value
	k := 1
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "population", &v, "weights??", &weights, "k?", &k); err != nil {
		return nil, err
	}
	list, err := indexable(b, v)
	if err != nil {
		return nil, err
	}
	if k < 0 || k > maxDrawn {
		return nil, fmt.Errorf("choices: k = %d is not from 0 to %d", k, maxDrawn)
	}
	sums := make([]float64, list.Len())
	total := 0.0
	w, _ := weights.(starlark.Indexable)
	if weights != nil && (w == nil || w.Len() != list.Len()) {
		return nil, errors.New("choices: weights is a list with one number for each element")
	}
	for i := range sums {
		x := 1.0
		if w != nil {
			var ok bool
			if x, ok = starlark.AsFloat(w.Index(i)); !ok || !(x >= 0 && x < 1e300) {
				return nil, fmt.Errorf("choices: the weight %s is no number from 0", w.Index(i))
			}
		}
		total += x
		sums[i] = total
	}
	if !(total > 0) {
		return nil, errors.New("choices: all weights are 0")
	}
	out := make([]starlark.Value, k)
	for j := range out {
		x, i := sourceOf(t).Float64()*total, 0
		for i < len(sums)-1 && sums[i] <= x {
			i++
		}
		out[j] = list.Index(i)
	}
	return starlark.NewList(out), nil
}

func sample(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	var k int
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "population", &v, "k", &k); err != nil {
		return nil, err
	}
	list, err := indexable(b, v)
	if err != nil {
		return nil, err
	}
	if k < 0 || k > list.Len() {
		return nil, fmt.Errorf("sample: %d of %d elements", k, list.Len())
	}
	var out []starlark.Value
	for _, i := range sourceOf(t).Perm(list.Len())[:k] {
		out = append(out, list.Index(i))
	}
	return starlark.NewList(out), nil
}

func shuffle(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var list *starlark.List
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "x", &list); err != nil {
		return nil, err
	}
	var err error
	sourceOf(t).Shuffle(list.Len(), func(i, j int) {
		x, y := list.Index(i), list.Index(j)
		if err == nil {
			err = errors.Join(list.SetIndex(i, y), list.SetIndex(j, x))
		}
	})
	return starlark.None, err
}

// randomText is random.text(n, letters): a text of n letters.
func randomText(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	n, letters := 0, "abcdefghijklmnopqrstuvwxyz0123456789"
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "n", &n, "letters?", &letters); err != nil {
		return nil, err
	}
	from := []rune(letters)
	if n < 0 || n > maxDrawn || len(from) == 0 {
		return nil, fmt.Errorf("random.text(%d): want a length from 0 to %d, and letters to draw from", n, maxDrawn)
	}
	out := make([]rune, n)
	for i := range out {
		out[i] = from[sourceOf(t).IntN(len(from))]
	}
	return starlark.String(string(out)), nil
}

// uuid4 is uuid.uuid4(), as a text.
func uuid4(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	r := sourceOf(t)
	high, low := r.Uint64()&^0xF000|0x4000, r.Uint64()&^(0xC<<60)|0x8<<60
	return starlark.String(fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xFFFF, high&0xFFFF, low>>48, low&(1<<48-1))), nil
}
