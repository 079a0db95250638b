package throughline

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEntryPointsHaveExamples holds that every exported function of the packages
// that a function's author uses has an example whose output is checked, and so
// has every type with methods: itself, a method of its, or what makes it.
func TestEntryPointsHaveExamples(t *testing.T) {
	for _, folder := range []string{"alpaca", "tracing", "tracing/export", "tracing/otlp", "handler", "dedupe", "dedupe/dynamo"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(files), err)
		}
		set := token.NewFileSet()
		var sources, tests []*ast.File
		for _, name := range files {
			file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") {
				tests = append(tests, file)
			} else {
				sources = append(sources, file)
			}
		}
		examples := map[string]bool{}
		for _, e := range doc.Examples(tests...) {
			if e.Output == "" && !e.EmptyOutput {
				t.Errorf("%s: Example%s checks no output", folder, e.Name)
			}
			for name := e.Name; ; { // ExampleReader_Read is one of Reader too
				examples[name] = true
				at := strings.LastIndexByte(name, '_')
				if at < 0 {
					break
				}
				name = name[:at]
			}
		}
		pkg, err := doc.NewFromFiles(set, sources, folder)
		if err != nil {
			t.Fatal(err)
		}
		function := func(f *doc.Func) bool {
			if !examples[f.Name] {
				t.Errorf("%s.%s has no example", folder, f.Name)
			}
			return examples[f.Name]
		}
		for _, f := range pkg.Funcs {
			function(f)
		}
		for _, typ := range pkg.Types {
			shown := examples[typ.Name] || len(typ.Methods) == 0
			for _, f := range typ.Funcs {
				shown = function(f) || shown
			}
			if !shown {
				t.Errorf("%s.%s and its methods have no example", folder, typ.Name)
			}
		}
	}
}
