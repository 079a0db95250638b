package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
)

// sbom lists the modules linked into binary as CycloneDX 1.6 JSON. It reads them
// from the build information in the binary. tag is the version of the extension,
// empty if it has none.
func sbom(binary []byte, tag string) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("read build information: %w", err)
	}
	type component struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		PURL    string `json:"purl"`
	}
	entry := func(kind, name, version string) component {
		purl := "pkg:golang/" + name
		if version != "" {
			purl += "@" + version
		}
		return component{Type: kind, Name: name, Version: version, PURL: purl}
	}
	components := []component{entry("library", "std", info.GoVersion)}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		components = append(components, entry("library", module.Path, module.Version))
	}
	document := map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata":   map[string]any{"component": entry("application", info.Path, tag)},
		"components": components,
	}
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write SBOM: %w", err)
	}
	return append(data, '\n'), nil
}
