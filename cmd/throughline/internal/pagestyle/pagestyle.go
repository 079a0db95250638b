// Package pagestyle has what the commands' pages share: their colours, and the hashes
// with which a Content Security Policy allows a style or a script.
package pagestyle

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

// Palette has the colours of the pages as CSS custom properties, in light and dark,
// selected by the reader's preference or by data-theme of the root element.
//
//go:embed palette.css
var Palette string

// Hash returns a source expression of a Content Security Policy (CSP Level 3, "Hash
// source") that allows an inline style or script with exactly this source.
func Hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
