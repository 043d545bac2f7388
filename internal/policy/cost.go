package policy

import (
	"strconv"

	"github.com/weir-dev/weir/internal/expr"
)

// Cost is how many units a request takes. The zero value is 1.
type Cost struct {
	Fixed int64      // when Expr is nil; 0 means 1
	Expr  *expr.Expr // Int; one that reads the response makes the policy Late
}

// Of returns the units that a request takes, never below zero: what an
// expression gives below zero is zero, which takes nothing. The error is an
// *expr.Error; only an Expr has one.
func (c Cost) Of(s *expr.Subject) (int64, error) {
	if c.Expr == nil {
		return max(c.Fixed, 1), nil
	}
	n, err := c.Expr.Int(s)
	return max(n, 0), err
}

// String returns the text that a policy file has: a number or an expression.
func (c Cost) String() string {
	if c.Expr != nil {
		return c.Expr.Source()
	}
	return strconv.FormatInt(max(c.Fixed, 1), 10)
}
