"""A second reading of templates, for the test that holds ours to it.

Reads a JSON list of YAML templates, has the SAM translator turn each into plain
CloudFormation, resolves it with the defaults of its parameters, and prints a JSON list
of what there is to watch.
"""
import json
import sys
from unittest import mock

import yaml
from samtranslator.translator.transform import transform


class Loader(yaml.SafeLoader):
    pass


def tagged(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


Loader.add_multi_constructor("!", tagged)

NAMES = {
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Events::Rule": "Name",
    "AWS::Events::EventBus": "Name",
    "AWS::DynamoDB::Table": "TableName",
}
PSEUDO = {"AWS::StackName": "stack", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}
SERVICES = {"AWS::Lambda::Function": "lambda:eu-west-1:123456789012:function", "AWS::SQS::Queue": "sqs:eu-west-1:123456789012", "AWS::Events::EventBus": "events:eu-west-1:123456789012:event-bus", "AWS::DynamoDB::Table": "dynamodb:eu-west-1:123456789012:table"}
NONE = object()


class Reader:
    def __init__(self, t):
        self.t = t

    def holds(self, c):
        (op, args), = c.items()
        if op == "Condition":
            return self.condition(args)
        if op == "Fn::Equals":
            return self.value(args[0]) == self.value(args[1])
        if op == "Fn::Not":
            return not self.holds(args[0])
        return (all if op == "Fn::And" else any)(self.holds(a) for a in args)

    def condition(self, name):
        return self.holds(self.t["Conditions"][name])

    def name(self, id):
        r = self.t["Resources"][id]
        given = self.value(r.get("Properties", {}).get(NAMES.get(r["Type"], ""), NONE))
        return id + "-physical" if given is NONE else given

    def ref(self, id):
        if id == "AWS::NoValue":
            return NONE
        if id in PSEUDO:
            return PSEUDO[id]
        if id in self.t.get("Parameters", {}):
            return str(self.t["Parameters"][id]["Default"])
        r = self.t["Resources"][id]
        if r["Type"] == "AWS::Lambda::Alias":
            return "arn:aws:lambda:eu-west-1:123456789012:function:" + function(self.value(r["Properties"]["FunctionName"])) + ":live"
        name = self.name(id)
        if r["Type"] == "AWS::Events::Rule" and self.bus(r) != "default":
            return self.bus(r) + "|" + name
        if r["Type"] == "AWS::StepFunctions::StateMachine":
            return id + "Arn-physical"
        if r["Type"] == "AWS::SQS::Queue":
            return "https://sqs.eu-west-1.amazonaws.com/123456789012/" + name
        return name

    def attribute(self, id, attribute):
        r = self.t["Resources"][id]
        if attribute in ("Arn", "StreamArn"):
            service = SERVICES.get(r["Type"], "other::")
            return "arn:aws:" + service + ("/" if "event-bus" in service else ":") + self.name(id)
        return self.name(id)

    def value(self, v):
        if isinstance(v, list):
            return [self.value(i) for i in v]
        if not isinstance(v, dict):
            return v if v is NONE else str(v)
        if len(v) == 1:
            (op, args), = v.items()
            if op == "Ref":
                return self.ref(args)
            if op == "Fn::GetAtt":
                args = args.split(".", 1) if isinstance(args, str) else args
                return self.attribute(*args)
            if op == "Fn::If":
                return self.value(args[1] if self.condition(args[0]) else args[2])
            if op == "Fn::Join":
                return args[0].join(self.value(args[1]))
            if op == "Fn::Select":
                return self.value(args[1])[int(args[0])]
            if op == "Fn::Split":
                return self.value(args[1]).split(args[0])
            if op == "Fn::FindInMap":
                a, b, c = self.value(args)
                return str(self.t["Mappings"][a][b][c])
            if op == "Fn::Sub":
                text, own = (args, {}) if isinstance(args, str) else args
                out = ""
                while "${" in text:
                    before, _, text = text.partition("${")
                    name, _, text = text.partition("}")
                    if name.startswith("!"):
                        out += before + "${" + name[1:] + "}"
                    elif name in own:
                        out += before + self.value(own[name])
                    elif "." in name:
                        out += before + self.attribute(*name.split(".", 1))
                    else:
                        out += before + self.ref(name)
                return out + text
        return {k: self.value(i) for k, i in v.items() if self.value(i) is not NONE}

    def bus(self, rule):
        bus = self.value(rule["Properties"].get("EventBusName", "default"))
        return "default" if bus is NONE else bus.rsplit("/", 1)[-1]

    def read(self):
        out = {"functions": {}, "queues": {}, "dlqs": [], "rules": {}, "tables": []}
        resources = {i: r for i, r in self.t["Resources"].items() if "Condition" not in r or self.condition(r["Condition"])}
        values = {i: self.value(r.get("Properties", {})) for i, r in resources.items()}
        dead, consumer, streams, destinations = set(), {}, set(), set()

        def walk(v, inside):
            if isinstance(v, list):
                for i in v:
                    walk(i, inside)
            if isinstance(v, dict):
                for k, i in v.items():
                    if isinstance(i, str) and ":sqs:" in i and (k == "deadLetterTargetArn" or inside and k in ("Arn", "TargetArn", "Destination")):
                        dead.add(i.rsplit(":", 1)[1])
                    walk(i, inside or k in ("DeadLetterConfig", "OnFailure"))

        for v in values.values():
            walk(v, False)
        for id, v in values.items():
            typ = resources[id]["Type"]
            if typ == "AWS::Lambda::EventSourceMapping":
                if ":sqs:" in v["EventSourceArn"]:
                    consumer[v["EventSourceArn"].rsplit(":", 1)[1]] = function(v["FunctionName"])
                else:
                    streams.add(function(v["FunctionName"]))
            if typ == "AWS::Lambda::EventInvokeConfig" and v.get("DestinationConfig"):
                destinations.add(function(v["FunctionName"]))
        for id, r in resources.items():
            v, name = values[id], self.name(id)
            if r["Type"] == "AWS::Lambda::Function":
                out["functions"][name] = [float(v.get("Timeout", 3)), float(v.get("ReservedConcurrentExecutions", 0)), float(name in streams), float(name in destinations)]
            elif r["Type"] == "AWS::SQS::Queue":
                if name in dead:
                    out["dlqs"].append(name)
                else:
                    out["queues"][name] = consumer.get(name, "")
            elif r["Type"] == "AWS::Events::Rule" and v.get("State") != "DISABLED":
                bus = self.bus(r)
                arns = [function(t["Arn"]) for t in v.get("Targets", []) if ":function:" in t["Arn"]]
                failed = [t["DeadLetterConfig"]["Arn"].rsplit(":", 1)[1] for t in v.get("Targets", []) if t.get("DeadLetterConfig")]
                out["rules"][name] = ["" if bus == "default" else bus, (arns + [""])[0], (failed + [""])[0]]
            elif r["Type"] == "AWS::DynamoDB::Table":
                out["tables"].append(name)
        for key in "dlqs", "tables":
            out[key] = sorted(set(out[key]))
        return out


def function(arn):
    return arn.split(":function:")[-1].split(":")[0]


def expanded(resources):
    """Fn::ForEach over a list written out."""
    out = {}
    for id, r in resources.items():
        if not id.startswith("Fn::ForEach::"):
            out[id] = r
            continue
        identifier, items, body = r
        for item in items:
            out.update(json.loads(json.dumps(body).replace("${" + identifier + "}", item)))
    return out


loader = mock.Mock()
loader.load.return_value = {}


def translated(text):
    template = yaml.load(text.replace("\ufeff", ""), Loader)
    if "Transform" in template:
        template = transform(template, {}, loader)
    template["Resources"] = expanded(template["Resources"])
    return Reader(template)


if __name__ == "__main__":
    print(json.dumps([translated(text).read() for text in json.load(sys.stdin)]))
