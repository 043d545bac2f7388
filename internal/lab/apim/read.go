package apim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
)

// ConfigName is the file that ReadConfig looks for in a folder.
const ConfigName = "apim.yaml"

// maxConfig bounds the size of a configuration, in bytes; policies have a bound of
// their own.
const maxConfig = 1 << 20

// The form of the file. See docs/apim.md.
type (
	fileConfig struct {
		Tier          string             `yaml:"tier"`
		Region        string             `yaml:"region"`
		Values        map[string]string  `yaml:"named-values"`
		Fragments     map[string]string  `yaml:"fragments"`
		Policy        string             `yaml:"policy"`
		Products      []fileProduct      `yaml:"products"`
		APIs          []fileAPI          `yaml:"apis"`
		Subscriptions []fileSubscription `yaml:"subscriptions"`
	}
	fileProduct struct {
		ID       string   `yaml:"id"`
		Name     string   `yaml:"name"`
		Required *bool    `yaml:"subscription-required"`
		APIs     []string `yaml:"apis"`
		Policy   string   `yaml:"policy"`
	}
	fileAPI struct {
		ID         string          `yaml:"id"`
		Name       string          `yaml:"name"`
		Path       string          `yaml:"path"`
		Required   *bool           `yaml:"subscription-required"`
		KeyHeader  string          `yaml:"key-header"`
		KeyQuery   string          `yaml:"key-query"`
		Policy     string          `yaml:"policy"`
		Operations []fileOperation `yaml:"operations"`
	}
	fileOperation struct {
		ID          string `yaml:"id"`
		Name        string `yaml:"name"`
		Method      string `yaml:"method"`
		Path        string `yaml:"path"`
		Policy      string `yaml:"policy"`
		Status      int    `yaml:"status"`
		Body        string `yaml:"body"`
		ContentType string `yaml:"content-type"`
	}
	fileSubscription struct {
		ID      string `yaml:"id"`
		Name    string `yaml:"name"`
		Key     string `yaml:"key"`
		Second  string `yaml:"secondary-key"`
		Product string `yaml:"product"`
		API     string `yaml:"api"`
		User    string `yaml:"user"`
		State   string `yaml:"state"`
	}
)

// ReadConfig reads a configuration file and the policy documents that it names,
// all below fsys. A policy in the file is the name of an XML file, relative to
// the configuration, or the document itself. Errors tell file and line where
// they are about the form, and the field where they are about what it says.
func ReadConfig(fsys fs.FS, name string) (Config, error) {
	data, err := read(fsys, name, maxConfig)
	if err != nil {
		return Config{}, err
	}
	var f fileConfig
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.DisallowUnknownField())
	if err := decode(d, &f); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	r := &configReader{fsys: fsys, dir: path.Dir(name), name: name}
	c := r.config(&f)
	if len(r.errs) > 0 {
		return Config{}, errors.Join(r.errs...)
	}
	return c, nil
}

// decode guards against panics of the YAML library: a user's file must not end
// the program.
func decode(d *yaml.Decoder, to any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this is not YAML that can be read; check quotes, brackets and indentation")
		}
	}()
	return d.Decode(to)
}

func read(fsys fs.FS, name string, most int64) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%s: give a file below the folder of the configuration, with / between folders and no .. in it", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: more than %d bytes", name, most)
	}
	return data, err
}

// configReader turns the file's form into a Config.
type configReader struct {
	fsys fs.FS
	dir  string
	name string
	errs []error
}

func (r *configReader) config(f *fileConfig) Config {
	c := Config{Tier: Tier(f.Tier), Region: f.Region, Values: f.Values, Policy: r.policy("policy", f.Policy), Fragments: map[string]Policy{}}
	if c.Tier == "" {
		c.Tier = Classic // so that an empty file is not taken for the default configuration
	}
	for id, p := range f.Fragments {
		c.Fragments[id] = r.policy("fragments."+id, p)
	}
	for i, p := range f.Products {
		c.Products = append(c.Products, Product{
			ID: p.ID, Name: p.Name, Open: p.Required != nil && !*p.Required, APIs: p.APIs, Policy: r.policy(fmt.Sprintf("products[%d].policy", i), p.Policy),
		})
	}
	for i, a := range f.APIs {
		out := API{
			ID: a.ID, Name: a.Name, Path: a.Path, Open: a.Required != nil && !*a.Required, KeyHeader: a.KeyHeader, KeyQuery: a.KeyQuery,
			Policy: r.policy(fmt.Sprintf("apis[%d].policy", i), a.Policy),
		}
		for j, op := range a.Operations {
			out.Operations = append(out.Operations, Operation{
				ID: op.ID, Name: op.Name, Method: op.Method, Template: op.Path, Status: op.Status, Body: op.Body, ContentType: op.ContentType,
				Policy: r.policy(fmt.Sprintf("apis[%d].operations[%d].policy", i, j), op.Policy),
			})
		}
		c.APIs = append(c.APIs, out)
	}
	for i, s := range f.Subscriptions {
		switch s.State {
		case "", "active", "suspended":
		default:
			r.errs = append(r.errs, fmt.Errorf("%s: subscriptions[%d].state: %q: write active or suspended", r.name, i, s.State))
		}
		c.Subscriptions = append(c.Subscriptions, Subscription{
			ID: s.ID, Name: s.Name, Key: s.Key, Second: s.Second, Product: s.Product, API: s.API, User: s.User, Suspended: s.State == "suspended",
		})
	}
	return c
}

// policy reads a policy document.
func (r *configReader) policy(at, text string) Policy {
	switch {
	case strings.TrimSpace(text) == "":
		return Policy{}
	case strings.HasPrefix(strings.TrimSpace(text), "<"):
		return Policy{Name: r.name + " " + at, Text: text}
	}
	name := path.Join(r.dir, text)
	data, err := read(r.fsys, name, maxConfig)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %s: %w", r.name, at, err))
	}
	return Policy{Name: name, Text: string(data)}
}
