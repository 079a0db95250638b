package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

const output = `goos: linux
BenchmarkStart-2   	       1	         0 ns/op	         1.100 all-memory-x	         1.200 all-start-x	         8.000 minimal-MB	         5.000 minimal-ms
BenchmarkAfterResponse/minimal-2 	 300	 500000 ns/op	 200.0 after-p50-µs
BenchmarkAfterResponse/ours-2    	 300	 500000 ns/op	 1900.0 after-p50-µs
BenchmarkSize-2   	1000000	 7.5 ns/op	 0 B/op	 0 allocs/op
PASS
`

func TestTable(t *testing.T) {
	all := figures{}
	all.parse(strings.NewReader(output))
	var table bytes.Buffer
	if err := write(&table, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`exec to first next, all endpoints +5.00 ms +6.00 ms +1.2 × +≤ 1.3 × +met`,
		`resident memory when ready +8.0 MB +8.8 MB +1.1 × +≤ 1.4 × +met`,
		`added after the response, auto, warm, p50 +200.00 µs +1900.00 µs +1.7 ms +≤ 1 ms +OVER`,
		`entry size +7.5 ns, 0 allocations +7.5 ns +≤ 50 ns +met`,
		`decorator, an entry, no provider +the SDK's client: – +– +≤ 4 µs +not measured`,
		`spans a CPU second through the receiver .*≥ 3 × +not measured`,
	} {
		if !regexp.MustCompile(want).MatchString(table.String()) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
}

// Every benchmark that the table is made of is there.
func TestBenchmarksExist(t *testing.T) {
	for _, r := range runs {
		files, err := os.ReadDir("../../" + r.pkg)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_test.go") {
				data, err := os.ReadFile("../../" + r.pkg + "/" + f.Name())
				if err != nil {
					t.Fatal(err)
				}
				text.Write(data)
			}
		}
		found := false
		for _, m := range regexp.MustCompile(`func (Benchmark\w+)\(`).FindAllStringSubmatch(text.String(), -1) {
			found = found || regexp.MustCompile(r.pattern).MatchString(m[1])
		}
		if !found {
			t.Errorf("%s has no %s", r.pkg, r.pattern)
		}
	}
}
