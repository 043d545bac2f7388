package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/apim"
)

// apimInputs are what documents of API Management need from outside.
type apimInputs struct {
	NamedValue []string `placeholder:"NAME=VALUE" help:"Of API Management: what {{NAME}} stands for. Repeat for several."`
	Fragment   []string `placeholder:"ID=FILE" help:"Of API Management: the policy fragment that include-fragment names. Repeat for several."`
	Tier       string   `enum:"classic,v2" default:"classic" help:"Of API Management: how its rate limits count: classic (a sliding window) or v2 (a token bucket)."`
}

// read reads a policy file of any form, as readPolicy does.
func (in *apimInputs) read(name string, data []byte) (*policy.File, policyFormat, error) {
	if format := sniffPolicy(data); format != formatAPIM {
		return readPolicy(name, data)
	}
	o := apim.Options{TokenBucket: in.Tier == "v2"}
	for _, text := range in.NamedValue {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, formatAPIM, errors.New("--named-value has no =; write --named-value NAME=VALUE") // it may be secret
		}
		if o.Values == nil {
			o.Values = map[string]string{}
		}
		o.Values[k] = v
	}
	for _, text := range in.Fragment {
		id, file, ok := strings.Cut(text, "=")
		if !ok || id == "" {
			return nil, formatAPIM, fmt.Errorf("--fragment %q has no =; write --fragment ID=FILE", text)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, formatAPIM, fmt.Errorf("--fragment %s: %w", id, err)
		}
		d, err := apim.ParseWith(file, b, o.Values)
		if err != nil {
			return nil, formatAPIM, err
		}
		if o.Fragments == nil {
			o.Fragments = map[string]*apim.Document{}
		}
		o.Fragments[id] = d
	}
	doc, err := apim.ParseWith(name, data, o.Values)
	if err != nil {
		return nil, formatAPIM, err
	}
	f, err := doc.FileWith(apim.Scope{}, o)
	return f, formatAPIM, err
}
