package cli

import (
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"github.com/weir-dev/weir/internal/pace"
)

// durations lets every flag that is a time read "30s", "1h20m" or a number of seconds.
func durations() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(
		func(ctx *kong.DecodeContext, target reflect.Value) error {
			var text string
			if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
				return err
			}
			d, err := pace.ParseDuration(text)
			if err != nil {
				return err
			}
			target.SetInt(int64(d))
			return nil
		}))
}
