// Package pagestyle is what every page that the commands draw has in common: its
// colours, and the hash by which a page's policy allows a style or a script.
package pagestyle

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

// Palette is the colours of the pages as custom properties of CSS, in light and in dark
// by what the reader prefers, or by data-theme of the root element.
//
//go:embed palette.css
var Palette string

// Hash is a source expression of a Content Security Policy (CSP Level 3, "Hash source")
// that allows an inline style or script of exactly this source.
func Hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
