package weir

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// Profile is one load of a run: how many users or arrivals, when, and of which
// classes. Several go on side by side, or one after another by their Start:
//
//	weir.Main(reader, admin,
//		weir.Profile{Classes: []string{"Reader"}, Users: 100, RunTime: 2 * time.Minute},
//		weir.Profile{Classes: []string{"Admin"}, Rate: "1000/h", Start: 15 * time.Second, RunTime: time.Minute},
//	)
//
// Flags and Options that say how much load there is take the place of all
// profiles, and a line says so. At most one of Users, Rate, Stages and Shape.
type Profile struct {
	Name    string   // for people; without Classes, also the class of that name, when there is one
	Classes []string // names of classes; none: all

	Start   time.Duration // after the start of the run
	RunTime time.Duration // after Start. 0: as long as Stages or Shape, or until Requests, else ten seconds

	Users     int     // 0: 1, or by the others
	SpawnRate float64 // users started per second. 0: all at once
	Rate      string  // arrivals: "50/s", "1000/h"
	Stages    string  // users or arrivals: "0..50/s:10s,50/s:1m", "0..20:5s,20:10s"
	// Shape is the load as a function of the time since Start. It is asked for each
	// second before anything is sent, so it must depend on its argument only.
	Shape func(elapsed time.Duration) Load

	MaxUsers int   // most users that send Rate. 0: ten seconds' worth of arrivals
	Requests int64 // it ends after so many. 0: no bound

	WarmUp time.Duration // of the run: how long load is sent before it counts
}

// Load is what a Shape asks for: Users or PerSecond. The zero value is the end.
type Load struct {
	users, rate, spawn float64
	kind               loadKind
}

type loadKind uint8

const (
	loadEnd loadKind = iota
	loadUsers
	loadRate
)

// Users is so many users.
func Users(n int) Load { return Load{kind: loadUsers, users: float64(n)} }

// PerSecond is so many arrivals per second.
func PerSecond(rate float64) Load { return Load{kind: loadRate, rate: rate} }

// Spawning lets users start, or leave, at so many per second, instead of at once.
func (l Load) Spawning(perSecond float64) Load {
	l.spawn = perSecond
	return l
}

// point is the load as package pace has it.
func (l Load) point() (p pace.Point, more bool, err error) {
	switch l.kind {
	case loadUsers:
		p.Users = int(l.users)
		if l.spawn != 0 {
			if p.Spawn, err = pace.PerSecond(l.spawn); err == nil && p.Spawn.IsZero() {
				err = errors.New("it spawns nobody")
			}
		}
	case loadRate:
		p.Open = true
		if p.Rate, err = pace.PerSecond(l.rate); err == nil && l.spawn != 0 {
			err = errors.New("Spawning is for Users")
		}
	default:
		return p, false, nil
	}
	return p, true, err
}

// text is a time as a flag has it.
func text(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func (p Profile) declare(to *declared) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("weir.Profile %s: %w", p.Name, err)
	}
	q := pace.Profile{
		Name: p.Name, Classes: slices.Clone(p.Classes), Start: text(p.Start), RunTime: text(p.RunTime),
		Users: p.Users, Rate: p.Rate, Stages: p.Stages, MaxUsers: p.MaxUsers, Requests: p.Requests, WarmUp: text(p.WarmUp),
	}
	if p.SpawnRate != 0 {
		q.SpawnRate = strconv.FormatFloat(p.SpawnRate, 'f', -1, 64)
	}
	if shape := p.Shape; shape != nil {
		q.Shape = func(at time.Duration) (pace.Point, bool, error) { return shape(at).point() }
	}
	if err := q.Check(); err != nil {
		return fmt.Errorf("weir.Profile %s: %w", p.Name, err)
	}
	to.profiles = append(to.profiles, q)
	return nil
}

func (p *Profile) check() error {
	if p.Start < 0 || p.RunTime < 0 || p.WarmUp < 0 {
		return errors.New("cannot have a negative Start, RunTime or WarmUp")
	}
	return nil
}
