package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/settings"
)

const readme = "../../README.md"

// TestReadmeShowsTheSettings holds the README's table to the one that --help
// prints, and TestReadmeShowsTheHelp its screen to the command's.
func TestReadmeShowsTheSettings(t *testing.T) {
	var table bytes.Buffer
	if err := settings.WriteMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	holdSection(t, "settings", table.String())
}

func TestReadmeShowsTheHelp(t *testing.T) {
	_, help, _ := command(t, "--help")
	holdSection(t, "help", "```console\n$ throughline --help\n"+help+"```\n")
}

// holdSection holds what stands between a pair of marks in the README to want,
// and writes it there with THROUGHLINE_UPDATE.
func holdSection(t *testing.T, name, want string) {
	t.Helper()
	text := read(t, readme)
	if os.Getenv("THROUGHLINE_UPDATE") != "" {
		section := regexp.MustCompile(`(?s)(<!-- ` + name + ` -->\n).*?(<!-- /` + name + ` -->)`)
		text = section.ReplaceAllString(text, "${1}\n"+strings.ReplaceAll(want, "$", "$$")+"\n${2}")
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, want) {
		t.Errorf("README.md's %s is not what there is: run `make docs`", name)
	}
}

// TestReadmeShowsTheExamples holds each line of Go and YAML in the README to
// the example that it is taken from, which tests run.
func TestReadmeShowsTheExamples(t *testing.T) {
	from := map[string]string{"go": read(t, "../../examples/go-library/main.go"), "yaml": read(t, "../../examples/sam/template.yaml")}
	shown := map[string]int{}
	found, _ := blocks(read(t, readme))
	for _, b := range found {
		for _, line := range strings.Split(b.text, "\n") {
			if line = strings.TrimSpace(line); from[b.language] != "" && line != "" {
				shown[b.language]++
				if !strings.Contains(from[b.language], line) {
					t.Errorf("README.md:%d shows %q, which its example does not", b.line, line)
				}
			}
		}
	}
	if shown["go"] == 0 || shown["yaml"] == 0 {
		t.Errorf("lines shown: %v", shown)
	}
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
