package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/throughline/throughline/internal/settings"
)

// TestReadmeShowsTheSettings holds the tables of settings to the one that --help prints:
// all of it in docs/settings.md, and of those that most need to be known six in the README.
func TestReadmeShowsTheSettings(t *testing.T) {
	most := []string{"DISABLED", "STAMP", "TRACES", "HOPS", "METRICS", "DEDUPE"}
	for page, names := range map[string][]string{"README.md": most, "docs/settings.md": nil} {
		var table bytes.Buffer
		if err := settings.WriteMarkdown(&table, names...); err != nil {
			t.Fatal(err)
		}
		if names != nil && strings.Count(table.String(), "\n") != 2+len(names) {
			t.Errorf("not all of %v are settings", names)
		}
		holdSection(t, page, "settings", table.String())
	}
}

// TestReadmeIsShort: a stranger reads one page.
func TestReadmeIsShort(t *testing.T) {
	const most = 120
	if n := strings.Count(read(t, filepath.Join(repository, "README.md")), "\n"); n > most {
		t.Errorf("README.md has %d lines, and may have %d: put detail into docs", n, most)
	}
}

// TestReadmeShowsTheHelp holds the screen of docs/commands.md to the command's. Its name
// begins with what make docs runs.
func TestReadmeShowsTheHelp(t *testing.T) {
	_, help, _ := command(t, "--help")
	holdSection(t, "docs/commands.md", "help", "```console\n$ throughline --help\n"+help+"```\n")
}

// holdSection holds what stands between a pair of marks in a page to want, and writes it
// there with THROUGHLINE_UPDATE.
func holdSection(t *testing.T, page, name, want string) {
	t.Helper()
	path := filepath.Join(repository, page)
	text := read(t, path)
	if os.Getenv("THROUGHLINE_UPDATE") != "" {
		section := regexp.MustCompile(`(?s)(<!-- ` + name + ` -->\n).*?(<!-- /` + name + ` -->)`)
		text = section.ReplaceAllString(text, "${1}\n"+strings.ReplaceAll(want, "$", "$$")+"\n${2}")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, want) {
		t.Errorf("%s: its section %s is not what there is: run `make docs`", page, name)
	}
}

// TestPagesShowTheExamples holds each line of Go that the pages show, without a comment at
// its end, to the examples that it is taken from, which tests run.
func TestPagesShowTheExamples(t *testing.T) {
	example := ""
	for _, path := range []string{"examples/go-library/main.go", "examples/go-library/main_test.go", "examples/go-library/orders_test.go", "tracing/export/limits_test.go"} {
		example += read(t, filepath.Join(repository, path))
	}
	shown := 0
	for page, text := range pages(t) {
		found, _ := blocks(text)
		for _, b := range found {
			for _, line := range strings.Split(b.text, "\n") {
				line, _, _ = strings.Cut(line, " // ")
				if line = strings.TrimSpace(line); b.language == "go" && line != "" && line != "…" {
					shown++
					if !strings.Contains(example, line) {
						t.Errorf("%s:%d shows %q, which its example does not", page, b.line, line)
					}
				}
			}
		}
	}
	if shown == 0 {
		t.Error("no line of Go is shown")
	}
}

// TestReadmeShowsTheTemplate: the YAML of the README is part of examples/sam/template.yaml,
// which tests read as SAM does.
func TestReadmeShowsTheTemplate(t *testing.T) {
	found, _ := blocks(read(t, filepath.Join(repository, "README.md")))
	i := slices.IndexFunc(found, func(b block) bool { return b.language == "yaml" })
	if i < 0 {
		t.Fatal("README.md shows no template")
	}
	if n := strings.Count(found[i].text, "\n"); n != 8 {
		t.Errorf("the layer takes %d lines in README.md, and eight are promised", n)
	}
	var shown, whole yaml.Node
	for text, into := range map[string]*yaml.Node{found[i].text: &shown, read(t, filepath.Join(repository, "examples", "sam", "template.yaml")): &whole} {
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "../../build", "build")), into); err != nil {
			t.Fatal(err)
		}
	}
	holdPart(t, "", shown.Content[0], whole.Content[0])
}

// holdPart holds each member of part to be in whole, with the same value.
func holdPart(t *testing.T, path string, part, whole *yaml.Node) {
	t.Helper()
	if part.Kind != yaml.MappingNode {
		if a, b := shape(part), shape(whole); a != b {
			t.Errorf("README.md has %s: %s, and examples/sam/template.yaml %s", path, a, b)
		}
		return
	}
	for i := 0; i < len(part.Content); i += 2 {
		name := part.Content[i].Value
		at := slices.IndexFunc(whole.Content, func(n *yaml.Node) bool { return n.Value == name })
		if at < 0 || at%2 != 0 {
			t.Errorf("README.md has %s.%s, and examples/sam/template.yaml has not", path, name)
			continue
		}
		holdPart(t, path+"."+name, part.Content[i+1], whole.Content[at+1])
	}
}

// shape is a node without its comments, style and place.
func shape(n *yaml.Node) string {
	text := n.Tag + " " + n.Value
	for _, c := range n.Content {
		text += "[" + shape(c) + "]"
	}
	return text
}

// TestReadmeNamesTargetsThatExist holds each `make` word of the pages to the Makefile.
func TestReadmeNamesTargetsThatExist(t *testing.T) {
	makefile := read(t, "../../Makefile")
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile("(?:`|\\$ )make ([a-z]+)").FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s says `make %s`, and there is no such target", page, m[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
