package workflow

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/charts.js
	chartsJS string
)

// pageHead and pageTail are the page before and after its data. Its policy
// allows this very style and script and nothing else: no request leaves it, and
// nothing that a span says could run.
var pageHead, pageTail = func() (head, tail string) {
	script := pageJS + chartsJS
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; base-uri 'none'; form-action 'none'", hash(pageCSS), hash(script))
	whole := strings.NewReplacer("{{csp}}", policy, "{{css}}", pageCSS, "{{js}}", script).Replace(pageHTML)
	head, tail, _ = strings.Cut(whole, "{{data}}")
	return head, tail
}()

func hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// WriteHTML writes one page that needs no network and no server: the trees, a
// timeline over functions with the links drawn, sizes and durations, a search.
func WriteHTML(out io.Writer, workflows []*Workflow) error {
	documents := make([]Document, len(workflows))
	for i, w := range workflows {
		documents[i] = w.Document()
	}
	page := bufio.NewWriter(out)
	page.WriteString(pageHead)
	// The encoder escapes <, > and &, so that no string ends the element that it stands in.
	if err := json.NewEncoder(page).Encode(documents); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	page.WriteString(pageTail)
	if err := page.Flush(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
