//go:build race

package cognito

// raced is how many allocations the race detector adds to a refusal: under it
// sync.Pool throws things away on purpose.
const raced = 2.0
