package envoy

import (
	"regexp"
	"strings"
)

// Most configurations are kept inside a ConfigMap of Kubernetes, often in one
// file with the manifests around it.

var (
	configMap   = regexp.MustCompile(`(?m)^kind\s*:\s*["']?ConfigMap\b`)
	blockHeader = regexp.MustCompile(`^( +)\S.*:\s*\|[-+0-9]*\s*(#.*)?$`)
	topDomain   = regexp.MustCompile(`(?m)^["']?domain["']?\s*:`)
	topList     = regexp.MustCompile(`(?m)^["']?descriptors["']?\s*:`)
)

// InConfigMap tells whether a text is a manifest of Kubernetes with at least one
// configuration of the service inside, as Parse reads it.
func InConfigMap(data []byte) bool {
	_, found := embedded(string(data))
	return found
}

// embedded returns the configurations inside ConfigMaps, everything else blanked,
// so that each stays at its line and column.
func embedded(text string) (out string, found bool) {
	if !configMap.MatchString(text) {
		return "", false
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	kept := make([]string, len(lines))
	for i := 0; i < len(lines); i++ {
		h := blockHeader.FindStringSubmatch(lines[i])
		if h == nil {
			continue
		}
		outer, inner, end := len(h[1]), 0, i+1
		for ; end < len(lines); end++ {
			rest := strings.TrimLeft(lines[end], " ")
			if rest == "" {
				continue
			}
			indent := len(lines[end]) - len(rest)
			if indent <= outer {
				break
			}
			if inner == 0 {
				inner = indent
			}
		}
		if block := lines[i+1 : end]; isConfiguration(block, inner) {
			found = true
			kept[i] = "---"
			copy(kept[i+1:end], block)
		}
		i = end - 1
	}
	return strings.Join(kept, "\n"), found
}

// isConfiguration tells whether a block has what the service reads at its top.
func isConfiguration(block []string, indent int) bool {
	var b strings.Builder
	for _, line := range block {
		b.WriteString(line[min(indent, len(line)):] + "\n")
	}
	return topDomain.MatchString(b.String()) && topList.MatchString(b.String())
}
