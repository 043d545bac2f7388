//go:build nolibs

package main

import (
	"context"
	"errors"
)

// Without the limiters that are Go libraries the rest is checked in a second: what
// they need takes a minute to compile. See .ci/run.

func ofGo() []trial { return nil }

func ofMoreGo() []trial { return nil }

func inSpring(int, int) starter {
	return func(context.Context, *house, string) (string, error) {
		return "", errors.New("built without libraries")
	}
}
