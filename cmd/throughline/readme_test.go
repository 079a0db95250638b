package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/internal/settings"
)

const readme = "../../README.md"

// TestReadmeShowsTheSettings holds the README's table to the one that --help prints.
func TestReadmeShowsTheSettings(t *testing.T) {
	var table bytes.Buffer
	if err := settings.WriteMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	text := read(t, readme)
	if os.Getenv("THROUGHLINE_UPDATE") != "" {
		section := regexp.MustCompile(`(?s)(<!-- settings -->\n).*?(<!-- /settings -->)`)
		text = section.ReplaceAllString(text, "${1}\n"+strings.ReplaceAll(table.String(), "$", "$$")+"\n${2}")
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, table.String()) {
		t.Error("README.md's settings are not those of the table: run `make docs`")
	}
}

// TestReadmeNamesTargetsThatExist holds each `make` word of the README, and
// each of the command's own, to what there is.
func TestReadmeNamesTargetsThatExist(t *testing.T) {
	text, makefile := read(t, readme), read(t, "../../Makefile")
	for _, m := range regexp.MustCompile("make ([a-z]+)").FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`(?m)^`+m[1]+`:`).MatchString(makefile) && !slices.Contains([]string{"and", "needs"}, m[1]) {
			t.Errorf("README.md says `make %s`, and there is no such target", m[1])
		}
	}
	root := newRoot(environment{getenv: os.Getenv})
	for _, m := range regexp.MustCompile("`throughline ([a-z]+)").FindAllStringSubmatch(text, -1) {
		if cmd, _, err := root.Find([]string{m[1]}); err != nil || cmd == root {
			t.Errorf("README.md says `throughline %s`, and there is no such command", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("../../" + m[1]); err != nil {
			t.Errorf("README.md links to %s: %v", m[1], err)
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
