package limittest

import "testing"

func TestModelKeepsScripts(t *testing.T) { Run(t, Model, Scripts()) }

func TestTwinsKeepScripts(t *testing.T) { Run(t, Twins, Scripts()) }
