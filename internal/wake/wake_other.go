//go:build !linux

package wake

// newAlarm: the ordinary timer has to do here.
func newAlarm() alarm { return nil }
