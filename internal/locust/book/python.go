package book

import (
	"math"
	"strconv"
	"strings"
)

// Float is Python's repr of a float: the shortest text that reads back the
// same, always with a decimal point or an exponent.
func Float(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, +1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// number is how Python writes a time that a script gave or that was measured.
// Locust keeps what it was given: whole numbers come from scripts that count
// themselves, and are written without a point.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatInt(int64(x), 10)
	}
	return Float(x)
}

// stamp is an instant as Locust writes it into files: UTC, to the second.
func stamp(ns int64) string { return utc(ns / 1e9) }
