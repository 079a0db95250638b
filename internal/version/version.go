// Package version returns the version of a program.
package version

import (
	"cmp"
	"runtime/debug"
)

// tagged is the tag of a release. The linker sets it: -X, see cmd/internal/release.
var tagged string

// String returns the tag of the program's release; else the version of its module, as
// `go install` records it; else "(devel)".
func String() string {
	recorded := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		recorded = info.Main.Version
	}
	return cmp.Or(tagged, recorded, "(devel)")
}
