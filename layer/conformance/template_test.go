package conformance

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// translated is what the SAM translator makes of a template.
const translated = `
import json, sys
from samtranslator.yaml_helper import yaml_parse
from samtranslator.translator.transform import transform
class Policies:
    def load(self): return {}
template = yaml_parse(open(sys.argv[1]).read())
for r in template["Resources"].values():  # what sam package does
    for name in ("CodeUri", "ContentUri"):
        if name in r["Properties"]: r["Properties"][name] = "s3://bucket/key"
out = transform(template, {}, Policies())
print(json.dumps({k: v["Type"] for k, v in out["Resources"].items()}))
`

func TestTemplate(t *testing.T) {
	t.Run("cfn-lint", func(t *testing.T) {
		if out, err := exec.Command(peertest.Command(t, "cfn-lint"), "--non-zero-exit-code", "warning", "../template.yaml").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("SAM translator", func(t *testing.T) {
		cmd := exec.Command(peertest.Module(t, "samtranslator"), "-c", translated, "../template.yaml")
		cmd.Env = append(cmd.Environ(), "AWS_DEFAULT_REGION=us-east-1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{`"Strategy": "AWS::Lambda::Function"`, `"Execution": "AWS::Lambda::Function"`, "AWS::Lambda::LayerVersion", "AWS::Events::Rule"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("it has no %s: %s", want, out)
			}
		}
	})
}
