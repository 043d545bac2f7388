// Command weir is the load tester that understands rate limits.
//
// Everything is in internal/cli, so that tests can run the command in-process.
package main

import (
	"os"

	"github.com/weir-dev/weir/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
