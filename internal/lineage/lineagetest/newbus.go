package lineagetest

import "strings"

// withMetadata is an event of a new custom bus, as a subscriber with the transformer
// WITH_METADATA gets it (EventBridge user guide, "Transforming events").
func withMetadata(data, metadata, system string) string {
	return `{"Data":` + data + `,"Metadata":{` + metadata + `},"SystemMetadata":{"ContentType":"application/eventbridge+json","aws:DeliveryType":"LIVE",` +
		`"aws:EventId":"stored-1","aws:IngestionTime":"2026-11-27T10:00:00.890Z","aws:SequenceNumber":"10000000000000011000"` + system + `}}`
}

// newBusCases are the payloads of the new custom buses, with each of their transformers.
func newBusCases(stamped func(name, payload, trigger, system string) Case) []Case {
	const bus, queue = "aws.eventbridge", "aws_sqs"
	metadata := `"tenant":"t-1","correlationid":"workflow-1","causationid":"plan-1","parentid":"signal-1","traceparent":"` + Publisher + `","originparent":"` + Origin + `","hops":"3"`
	bare := onBus("env-1", "TradeExecuted", "shop", `{"qty":1}`)
	group := `,"aws:Source":"shop","aws:DetailType":"TradeExecuted","EventGroupId":"customer-7"`
	named := `{"event_id":"trade-1","event_type":"TradeExecuted","qty":1}`
	// foreign is a context without a stamp, and therefore without a workflow.
	foreign := func(name, payload, span, id, correlation string) Case {
		return Case{Name: name, Payload: payload, Span: span, Trigger: "pubsub", System: bus, IDs: []string{id}, Correlation: correlation, Causations: 1, Origins: 1, From: Publisher}
	}
	return []Case{
		stamped("NewBusBatch", pipe(Envelope), "pubsub", bus),
		stamped("NewBusWithMetadata", withMetadata(Envelope, "", group), "pubsub", bus),
		stamped("NewBusBatchWithMetadata", pipe(withMetadata(Envelope, "", group)), "pubsub", bus),
		stamped("NewBusReplay", strings.Replace(withMetadata(Envelope, "", ""), "LIVE", "REPLAY", 1), "pubsub", bus),
		stamped("NewBusToSQS", records(sqs("m-1", withMetadata(Envelope, "", group))), "pubsub", bus),
		stamped("NewBusToSNSToSQS", records(sqs("m-1", notification(withMetadata(Envelope, "", group)))), "pubsub", bus),
		stamped("NewBusToClassic", Envelope, "pubsub", bus),
		stamped("ClassicToNewBus", withMetadata(Envelope, "", `,"aws:Source":"alchemiser.execution"`), "pubsub", bus),
		stamped("RawEvent", withMetadata(named, metadata, ""), "pubsub", bus),
		stamped("RawEventBatch", pipe(withMetadata(named, metadata, "")), "pubsub", bus),
		stamped("RawEventToSQS", records(sqs("m-1", withMetadata(named, metadata, ""))), "pubsub", bus),
		{Name: "RawEventAvro", Payload: withMetadata(`"AAEC"`, metadata, ""), Span: "process", Trigger: "pubsub", System: bus, IDs: []string{"stored-1"}, Correlation: "workflow-1", Causations: 1, Origins: 1},
		foreign("RawEventTraced", withMetadata(named, `"traceparent":"`+Publisher+`"`, ""), "process TradeExecuted", "trade-1", "stored-1"),
		{Name: "RawEventAlone", Payload: Detail, Span: "process", Trigger: "other", IDs: []string{"trade-1"}, Correlation: "workflow-1"},
		{Name: "RawEventAttributes", Payload: records(attributed(sqs("m-1", named), attribute("traceparent", Publisher))), Span: "process TradeExecuted", Trigger: "pubsub", System: queue, IDs: []string{"trade-1"}, Correlation: "trade-1", Causations: 1},
		{Name: "NewBusUnstamped", Payload: bare, Span: "process TradeExecuted", Trigger: "pubsub", System: bus, IDs: []string{"env-1"}, Correlation: "env-1"},
		{Name: "NewBusUnstampedWithMetadata", Payload: withMetadata(bare, "", ""), Span: "process TradeExecuted", Trigger: "pubsub", System: bus, IDs: []string{"stored-1"}, Correlation: "env-1"},
		{Name: "NewBusTransformed", Payload: `{"order":{"id":7},"correlation_id":"workflow-1","traceparent":"` + Publisher + `"}`, Span: "process", Trigger: "other", IDs: []string{"request-1"}, Correlation: "workflow-1", Causations: 1, Origins: 1, From: Publisher},
	}
}
