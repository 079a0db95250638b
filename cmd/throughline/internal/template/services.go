package template

import (
	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/internal/yamltree"
)

// otherService reads a resource of a service other than functions, queues and tables. It
// returns false for types that it does not support.
func (t *reading) otherService(id, typ string, p *yamltree.Node) bool {
	switch typ {
	case "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine":
		t.stateMachine(id, typ, p)
	case newBusType:
		t.newBus(id, p)
	case subscriberType:
		t.subscriber(id, p)
	case "AWS::Pipes::Pipe":
		t.plain("pipe", id, typ, p)
	case "AWS::Kinesis::Stream":
		f := t.plain("kinesis", id, typ, p)
		t.number(f, "retention", "h", p.Get("RetentionPeriodHours"))
	case "AWS::SNS::Topic":
		t.plain("topic", id, typ, p)
	case "AWS::ApiGateway::RestApi", "AWS::Serverless::Api":
		name, known := t.text(p.Get("Name"), open)
		if !known && typ == "AWS::Serverless::Api" { // SAM names it after the stack
			name, known = t.reference("AWS::StackName", open, 0)
		}
		if !known {
			t.skip(id, typ, "the template does not have its name")
			break
		}
		t.add(&found{rank: 7, kind: "rest-api", name: name})
	case "AWS::ApiGatewayV2::Api", "AWS::Serverless::HttpApi":
		if t.is(p.Get("ProtocolType"), "websocket") {
			t.skip(id, typ, "")
			break
		}
		t.httpAPI(id, typ)
	default:
		return false
	}
	t.dead(p, "")
	return true
}

// plain returns a resource that only needs its name.
func (t *reading) plain(kind, id, typ string, p *yamltree.Node) *found {
	name, _ := t.name(id, typ, p, open, 0)
	f := &found{rank: 6, kind: kind, name: name}
	t.add(f)
	return f
}

// stateMachine adds a state machine, whose metrics have its ARN. The ARN is made from its
// name.
func (t *reading) stateMachine(id, typ string, p *yamltree.Node) {
	name, _ := t.name(id, typ, p, open, 0)
	arn, deployed := t.physical[id]
	if arn = alarms.Literal(arn); !deployed {
		pseudo := func(what string) string {
			text, _ := t.reference("AWS::"+what, open, 0)
			return text
		}
		arn = "arn:" + pseudo("Partition") + ":states:" + pseudo("Region") + ":" + pseudo("AccountId") + ":stateMachine:" + name
	}
	f := &found{rank: 6, kind: "state-machine", name: name}
	f.set("arn", quoted(arn))
	t.number(f, "timeout", "s", p.At("Definition", "TimeoutSeconds"))
	t.add(f)
}

// httpAPI adds an HTTP API, whose metrics have its ID, the value of Ref.
func (t *reading) httpAPI(id, typ string) {
	api, _ := t.named(id, typ, nil, open, 0)
	f := &found{rank: 7, kind: "http-api", name: alarms.Literal(id)}
	f.set("id", quoted(api))
	t.add(f)
}

// implicit adds an API that SAM creates for a function's events.
func (t *reading) implicit(event string, p *yamltree.Node) {
	switch {
	case event == "Api" && p.Get("RestApiId") == nil:
		if name, ok := t.reference("AWS::StackName", open, 0); ok {
			t.add(&found{rank: 7, kind: "rest-api", name: name})
		}
	case event == "HttpApi" && p.Get("ApiId") == nil:
		t.httpAPI("ServerlessHttpApi", "AWS::Serverless::HttpApi")
	}
}
