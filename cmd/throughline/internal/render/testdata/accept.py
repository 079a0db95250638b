"""Has what was rendered accepted by others, for the tests of the outputs.

Reads a JSON list of {"templates": {name: text}, "own": [logical IDs], "inline": text},
and prints for each the matches of cfn-lint, the alarms that moto makes of each template,
and those that a second reader finds in the template in which they stand.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../template/testdata"))
os.environ.update(AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_DEFAULT_REGION="eu-west-1")

import boto3
from cfnlint.config import ConfigMixIn
from cfnlint.decode.decode import decode_str
from cfnlint.runner import Runner
from moto import mock_aws
from moto.cloudwatch.responses import CloudWatchResponse

import reader

if not hasattr(CloudWatchResponse, "put_composite_alarm"):  # moto keeps such alarms, and lacks the operation alone
    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm


def lint(text):
    template, errors = decode_str(text)
    if errors:
        return [("", str(e)) for e in errors]
    return [("/".join(map(str, m.path or [])), m.rule.id + " " + m.message) for m in Runner(ConfigMixIn(regions=["eu-west-1"])).validate_template(template)]


def described(a):
    stats = [m["MetricStat"]["Metric"] for m in a.get("Metrics", []) if "MetricStat" in m] or [a]
    return a["AlarmName"] + ": " + "; ".join(sorted(s["MetricName"] + " " + ", ".join(sorted(d["Name"] + "=" + d["Value"] for d in s.get("Dimensions", []))) for s in stats))


def typed(r, v):
    """A value with its functions resolved and its numbers as they are."""
    if isinstance(v, list):
        return [typed(r, i) for i in v]
    if isinstance(v, dict):
        if len(v) == 1 and (next(iter(v)) == "Ref" or next(iter(v)).startswith("Fn::")):
            return r.value(v)
        return {k: typed(r, i) for k, i in v.items()}
    return v


def made(text):
    """What moto's CloudWatch has once it was told the properties of a template's alarms."""
    t = reader.yaml.load(text, reader.Loader)
    for name, p in t.get("Parameters", {}).items():
        p.setdefault("Default", name + "-physical")
    r = reader.Reader(t)
    with mock_aws():
        cloudwatch = boto3.client("cloudwatch")
        for resource in sorted(t["Resources"].values(), key=lambda r: r["Type"]):
            properties = typed(r, resource["Properties"])
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                cloudwatch.put_metric_alarm(**properties)
            else:
                cloudwatch.put_composite_alarm(**properties)
        pages = list(cloudwatch.get_paginator("describe_alarms").paginate())
        names = {a["AlarmName"] for page in pages for a in page["MetricAlarms"] + page["CompositeAlarms"]}
        if len(names) != len(t["Resources"]):
            return ["%d alarms of %d" % (len(names), len(t["Resources"]))]
        return sorted(described(a) for page in pages for a in page["MetricAlarms"])


def standing(text, own):
    r = reader.translated(text)
    return sorted(described(r.value(r.t["Resources"][id]["Properties"])) for id in own if r.t["Resources"][id]["Type"] == "AWS::CloudWatch::Alarm" and ("Condition" not in r.t["Resources"][id] or r.condition(r.t["Resources"][id]["Condition"])))


out = []
for case in json.load(sys.stdin):
    matches = [[name, *m] for name, text in case["templates"].items() for m in lint(text)]
    matches += [["inline", *m] for m in lint(case["inline"]) if m[0].split("/")[1:2] and m[0].split("/")[1] in case["own"]]
    out.append({"matches": matches, "made": made(case["templates"]["cloudformation"]), "standing": standing(case["inline"], case["own"])})
print(json.dumps(out))
