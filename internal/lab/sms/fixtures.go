package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// DefaultFixtures is one administrator, in the form of Django's dumpdata: the
// example of seed 002 with a password.
func DefaultFixtures() []byte {
	return []byte(`[
  {"model": "accounts.user", "pk": 1, "fields": {"username": "admin", "email": "admin@example.com",
    "password": "password123", "is_staff": true, "is_superuser": true}},
  {"model": "accounts.profile", "pk": 1, "fields": {"user": 1, "employee_id": "EMP001", "full_name": "管理者ユーザー"}}
]
`)
}

// fixtures are rows to be loaded.
type fixtures struct {
	users    []fixtureUser
	profiles []fixtureProfile
}

type fixtureUser struct {
	pk                             int64 // 0: the database chooses
	username, email, password      string
	isStaff, isSuperuser, inactive bool
}

type fixtureProfile struct {
	pk, user             int64
	employeeID, fullName string
}

// parseFixtures reads JSON as `manage.py loaddata` would.
//
// Understood are the models accounts.user (or auth.user) and accounts.profile, in
// any case. Fields that are not used here are skipped; models that are not known
// are an error, as in Django. A password may be a hash of Django's pbkdf2_sha256 or
// plain text, which loaddata would not take and which is hashed here; a user
// without a password field gets password123, because the example of seed 002 has
// none; an empty one or one beginning with "!" cannot log in, as in Django.
func parseFixtures(raw []byte, iterations int) (*fixtures, error) {
	var list []struct {
		Model  string
		PK     *json.Number
		Fields map[string]json.RawMessage
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("fixtures: want a JSON list as Django's dumpdata writes it: %w", err)
	}
	if dec.More() {
		return nil, errors.New("fixtures: something follows the JSON list")
	}
	out := &fixtures{}
	for i, item := range list {
		bad := func(err error) error {
			return fmt.Errorf("fixtures: object %d (%s): %w", i+1, item.Model, err)
		}
		pk := int64(0)
		if item.PK != nil {
			n, err := item.PK.Int64()
			if err != nil || n < 1 {
				return nil, bad(fmt.Errorf("pk %s: want a number from 1 up", *item.PK))
			}
			pk = n
		}
		r := fieldReader{fields: item.Fields}
		switch strings.ToLower(item.Model) {
		case "accounts.user", "auth.user":
			u := fixtureUser{pk: pk, username: r.text("username", true, 150), email: r.text("email", false, 254), password: DefaultPassword}
			if _, ok := item.Fields["password"]; ok {
				u.password = r.text("password", false, 128)
			}
			u.isStaff, u.isSuperuser = r.flag("is_staff", false), r.flag("is_superuser", false)
			u.inactive = !r.flag("is_active", true)
			if r.err == nil {
				u.password, r.err = encodePassword(u.password, iterations)
			}
			out.users = append(out.users, u)
		case "accounts.profile":
			p := fixtureProfile{pk: pk, employeeID: r.text("employee_id", true, 20), fullName: r.text("full_name", false, 100)}
			r.read("user", &p.user)
			if r.err == nil && p.user < 1 {
				r.err = errors.New("field user: want the pk of a user")
			}
			out.profiles = append(out.profiles, p)
		default:
			return nil, bad(errors.New("unknown model: there are accounts.user and accounts.profile"))
		}
		if r.err != nil {
			return nil, bad(r.err)
		}
	}
	return out, nil
}

// fieldReader reads fields and keeps the first error. Values are never repeated in
// errors: one of them is a password.
type fieldReader struct {
	fields map[string]json.RawMessage
	err    error
}

func (r *fieldReader) read(name string, into any) {
	raw, ok := r.fields[name]
	if !ok || r.err != nil {
		return
	}
	if json.Unmarshal(raw, into) != nil {
		r.err = fmt.Errorf("field %s: of the wrong type", name)
	}
}

func (r *fieldReader) text(name string, required bool, most int) (s string) {
	r.read(name, &s)
	switch {
	case r.err != nil:
	case required && s == "":
		r.err = fmt.Errorf("field %s: is missing", name)
	case len([]rune(s)) > most || strings.IndexByte(s, 0) >= 0:
		r.err = fmt.Errorf("field %s: want at most %d characters, none of them NUL", name, most)
	}
	return s
}

func (r *fieldReader) flag(name string, otherwise bool) bool {
	r.read(name, &otherwise)
	return otherwise
}

// load saves fixtures: an object with a pk that exists is replaced, as by
// loaddata.
func (s *store) load(ctx context.Context, f *fixtures) error {
	l := &lease{s: s, q: s.db}
	failed := func(model, name string, err error) error {
		return fmt.Errorf("fixtures: %s %s cannot be saved: %w", model, name, err)
	}
	for _, u := range f.users {
		columns, values, args := "", "", []any{u.username, u.email, u.password, u.isStaff, u.isSuperuser, !u.inactive}
		if u.pk != 0 {
			columns, values, args = ", id", ", ?", append(args, u.pk)
		}
		_, err := l.exec(ctx, `INSERT INTO accounts_user (username, email, password, is_staff, is_superuser, is_active`+columns+`) VALUES (?, ?, ?, ?, ?, ?`+values+`)
			ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email, password = excluded.password,
			is_staff = excluded.is_staff, is_superuser = excluded.is_superuser, is_active = excluded.is_active`, args...)
		if err != nil {
			return failed("user", u.username, err)
		}
	}
	for _, p := range f.profiles {
		columns, values, args := "", "", []any{p.user, p.employeeID, p.fullName}
		if p.pk != 0 {
			columns, values, args = ", id", ", ?", append(args, p.pk)
		}
		_, err := l.exec(ctx, `INSERT INTO accounts_profile (user_id, employee_id, full_name`+columns+`) VALUES (?, ?, ?`+values+`)
			ON CONFLICT (user_id) DO UPDATE SET employee_id = excluded.employee_id, full_name = excluded.full_name`, args...)
		if err != nil {
			return failed("profile", p.employeeID, err)
		}
	}
	if !s.postgres {
		return nil
	}
	// Subtle: rows with a pk of their own do not move PostgreSQL's sequence, so
	// the next row without one would collide.
	for _, table := range []string{"accounts_user", "accounts_profile"} {
		if _, err := s.db.ExecContext(ctx, `SELECT setval(pg_get_serial_sequence('`+table+`', 'id'), GREATEST((SELECT MAX(id) FROM `+table+`), 1))`); err != nil {
			return fmt.Errorf("fixtures: sequence of %s: %w", table, err)
		}
	}
	return nil
}
