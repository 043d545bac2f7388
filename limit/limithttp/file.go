package limithttp

import (
	"bytes"
	"fmt"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/apim"
)

// read reads a policy file of either form.
func read(name string, data []byte) (*policy.File, error) {
	if name == "" {
		name = "policies"
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	if !bytes.HasPrefix(text, []byte("<")) {
		return policy.Parse(name, data)
	}
	doc, err := apim.Parse(name, data)
	if err != nil {
		return nil, err
	}
	f, err := doc.File(apim.Scope{})
	if err == nil && len(f.Policies) == 0 {
		err = fmt.Errorf("%s: there is no limit in it", name)
	}
	return f, err
}
