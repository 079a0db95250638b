package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/local/lambdalocal"
)

// TestAdvice: what installs the SDK that Lambda's runtimes have is said once a function.
func TestAdvice(t *testing.T) {
	for line, want := range map[string]string{
		`2026-11-30T09:06:08.789Z - ERROR Init Error  {"errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module '@aws-sdk/client-sqs'\nRequire stack:"}`: "run npm install @aws-sdk/client-sqs in",
		`ERROR Init Error {"errorMessage":"Cannot find package '@aws-sdk/lib-dynamodb' imported from /a/index.mjs"}`:                                                              "run npm install @aws-sdk/lib-dynamodb in",
		`ERROR Init Error {"errorMessage":"Error: Cannot find module 'aws-sdk'"}`:                                                                                                 "run npm install aws-sdk in",
		`[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'boto3'`:                                                                               "run python3 -m pip install boto3, or",
		`[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'mine'`:                                                                                "",
		`ERROR Init Error {"errorMessage":"Error: Cannot find module './aws-sdk'"}`:                                                                                               "",
		`looked for boto3`: "",
	} {
		if got := advice(line); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", line, got)
		}
	}
	var out bytes.Buffer
	l := newLog(&out, false)
	for _, function := range []string{"A", "A", "B"} {
		l.add(lambdalocal.LogLine{Time: time.Now(), Function: function, Text: "Error: Cannot find module 'aws-sdk'"})
	}
	for function, want := range map[string]int{"A: Lambda's Node.js runtimes have aws-sdk": 1, "B: Lambda's Node.js runtimes have aws-sdk": 1} {
		if got := strings.Count(out.String(), function); got != want {
			t.Errorf("%d times %q in %s", got, function, out.String())
		}
	}
	if kept, _ := l.lines.after(0); len(kept) != 5 {
		t.Errorf("the page gets %d lines", len(kept))
	}
}
