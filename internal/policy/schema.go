package policy

import _ "embed"

//go:embed policy.schema.json
var schema []byte

// Schema returns a copy of the JSON Schema (draft 2020-12) of policy files, for
// editors and other programs. It accepts every file that Parse accepts; Parse
// knows more, such as which fields belong to which algorithm.
func Schema() []byte { return append([]byte(nil), schema...) }
