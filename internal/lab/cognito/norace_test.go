//go:build !race

package cognito

const raced = 0.0
