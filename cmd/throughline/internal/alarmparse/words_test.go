package alarmparse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/throughline/throughline/alarms"
)

// TestScripts: what dimensions and periods are in scripts as people write them.
func TestScripts(t *testing.T) {
	const call = "aws cloudwatch put-metric-alarm --alarm-name a --namespace N --metric-name M --dimensions "
	for script, want := range map[string]string{
		"Q=https://sqs/1/q\n" + call + "Name=QueueName,Value=$Q":                                        "https://sqs/1/q",
		"export MY_Q='a b'\n" + call + "\"Name=QueueName,Value=${MY_Q}\"":                               "a b",
		"readonly A=arn:aws:$P B=x\n" + call + "Name=N,Value=$A:$B":                                     "arn:aws:${P}:x",
		"A=one\nA=two\n" + call + "Name=N,Value=$A":                                                     "two",
		"if true; then A=one; fi\n" + call + "Name=N,Value=$A":                                          "${A}",
		"A=one\nif true\nthen\n  A=two\nfi\n" + call + "Name=N,Value=$A":                                "${A}",
		"A=one\nfor A in x y; do " + call + "Name=N,Value=$A; done":                                     "${A}",
		"f() {\n A=one\n}\n" + call + "Name=N,Value=$A":                                                 "${A}",
		"A=one; read A\n" + call + "Name=N,Value=$A":                                                    "${A}",
		"A=one; A+=two\n" + call + "Name=N,Value=$A":                                                    "${A}",
		"A=$(aws x)\n" + call + "Name=N,Value=$A":                                                       "${A}",
		call + `'[{"Name":"N","Value":"f"}]'`:                                                           "f",
		call + `'{"Name":"N","Value":"f"}'`:                                                             "f",
		"cat <<EOF\naws cloudwatch put-metric-alarm --alarm-name text\nEOF\n" + call + "Name=N,Value=f": "f",
		"cat <<-'END' | sed x\n\tit's\n\tEND\n" + call + "Name=N,Value=f":                               "f",
		"cat << \"A\" <<B\nit's a\nA\nit's b\nB\n" + call + "Name=N,Value=f":                            "f",
		"grep x <<< word\n" + call + "Name=N,Value=f":                                                   "f",
		"(( x = 1 << 2 ))\n" + call + "Name=N,Value=f":                                                  "f",
		call + "Name=N,Value=f < /dev/null 2>&1 >>log &>all":                                            "f",
	} {
		s, err := Shell([]byte(script))
		if err != nil || len(s.Alarms) != 1 || len(s.Alarms[0].Stats()) != 1 {
			t.Errorf("%s: %+v, %v", script, s.Alarms, err)
			continue
		}
		if got := s.Alarms[0].Stats()[0].Dimensions; len(got) == 0 || got[0].Value != want {
			t.Errorf("%s: %+v, not %s", script, got, want)
		}
	}
}

// TestScriptsWithUnitsAndFiles: a unit is read, and an alarm in a file is said to be none
// that lint reads.
func TestScriptsWithUnitsAndFiles(t *testing.T) {
	s, err := Shell([]byte("P=45\naws cloudwatch put-metric-alarm --alarm-name a --namespace AWS/Lambda --metric-name Duration --dimensions Name=FunctionName,Value=f --statistic Maximum --unit Seconds --period $P --evaluation-periods 1 --threshold 5 --comparison-operator GreaterThanThreshold\n" +
		"aws cloudwatch put-metric-alarm --cli-input-json file://alarm.json\naws cloudwatch put-metric-alarm --alarm-name m --metrics file://metrics.json\n"))
	if err != nil || len(s.Alarms) != 1 || len(s.Notes) != 2 || !strings.Contains(s.Notes[0].Message, "file://alarm.json, which is not read") || s.Notes[1].Line != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	text := fmt.Sprint(alarms.Lint(s))
	for _, want := range []string{"published in Milliseconds, not in Seconds", "a period of 45 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

// TestAVariableThatDoubles: each line doubles a value, and memory is bounded.
func TestAVariableThatDoubles(t *testing.T) {
	s, err := Shell([]byte("A=a\n" + strings.Repeat("A=$A$A\n", 60) + "aws cloudwatch put-metric-alarm --alarm-name $A"))
	if err != nil || len(s.Alarms) != 1 || len(s.Alarms[0].Name) > 5000 {
		t.Errorf("%d alarms, %v", len(s.Alarms), err)
	}
}
