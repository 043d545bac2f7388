// Package limittest checks rate limiters, ours or anybody's, against a Script:
// a text that tells one limiter's life request by request.
//
//	policy 10/1s burst 3 token-bucket
//	at 0s    take 3    allow remaining=0
//	at 0s    take 1    deny  retry=100ms
//	at 0.1s  take 1    allow remaining=0
//
// Run plays scripts against any limiter behind the one-method interface
// Subject: this module's model, a slow twin of it, a server behind HTTP, another
// library. A Suite checks what every limiter of a declared policy must keep, on
// traffic of its own making. Scripts returns the scripts that this project's own
// limiters are held to.
//
// # The script language
//
// A script is read line by line. Words are separated by blanks. Empty lines are
// ignored, and so is everything from a # that begins a word.
//
// First comes the setup:
//
//	start TIME
//
// The instant that offsets count from, in RFC 3339. Without it, it is
// 2026-01-01T00:00:00Z, a Thursday, and the head of every clock-aligned window
// of a whole number of seconds, minutes or hours that divides a day.
//
//	chain
//
// Several policies are asked in order, as by limit.Chain. Without it they all
// admit or nothing is taken, as by limit.All.
//
//	policy [for ROUTE] [counter NAME] POLICY
//
// A policy, in the words of limit.ParsePolicy. Every key has a limiter of its
// own. With "for", the policy applies to requests for that route only; without,
// to all. Policies with the same counter name share one count (a limit.Counter)
// for each key.
//
// Then come the requests, in order of time:
//
//	at TIME [for ROUTE] [key KEY] [xN [every STEP]] take COST allow|deny [FIELD=VALUE ...]
//
// TIME is an offset from the start (0s, 1.5s, 100ms, 1h30m) or an instant in RFC
// 3339. ROUTE and KEY are single words; without them both are empty. xN makes N
// requests of it, at the same instant or a STEP apart; each must be allowed, or
// denied, and the fields are those of the last. The fields are, each optional:
//
//	limit=N       Decision.Limit
//	remaining=N   Decision.Remaining
//	retry=D       Decision.RetryAfter: a duration, never, or unknown
//	reset=D       Decision.ResetAfter: likewise
//	delay=D       Decision.Delay
//	warn=BOOL     Decision.Warn: true or false
//	binding=N     Decision.Binding: which of the policies for the route, from 0
//
// A field that a subject does not say is not compared.
//
//	back TIME ...
//
// Like at, for a time before that of a line above; at refuses it, so that a
// slip of the pen is not taken for a test of clocks that run backwards.
//
//	at TIME [for ROUTE] [key KEY] release COST
//
// Gives back what a concurrency policy holds.
package limittest
