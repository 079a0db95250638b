package app

import (
	"regexp"
	"strings"
)

// lacking is how a function's log names a module that is not there: Node.js's require and
// import, and Python's.
var lacking = regexp.MustCompile(`Cannot find (?:module|package) '((?:@aws-sdk|@smithy)/[\w.-]+|aws-sdk)|No module named '(boto3|botocore)`)

// advice says what to do where a line of a function's log tells that the SDK is not there
// which Lambda's runtimes have. It is empty for every other line.
func advice(line string) string {
	found := lacking.FindStringSubmatch(line)
	switch {
	case found == nil || !strings.Contains(line, "Error"):
		return ""
	case found[1] != "":
		return "Lambda's Node.js runtimes have " + found[1] + ", and this machine has not: run npm install " + found[1] + " in the function's folder, or in one above it"
	}
	return "Lambda's Python runtimes have " + found[2] + ", and this interpreter has not: run python3 -m pip install boto3, or name one that has it with --python"
}
