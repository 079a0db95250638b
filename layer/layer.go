// Package layer has the files of the Lambda layer other than the extension: the
// wrapper and the shims for Python and Node.js.
package layer

import "embed"

// Files are below the folder throughline, as they are in the layer. None is executable:
// a program that writes them to disk must make throughline/wrapper executable.
//
//go:embed throughline/wrapper throughline/node/*.cjs throughline/python/*.py throughline/python/throughline_shim/*.py
var Files embed.FS
