package eventsv2local

import (
	"cmp"
	"time"
)

// control handles the operations of buses and subscribers.
func (s *Service) control(operation string, in node) (any, error) {
	switch operation {
	case "CreateEventBus":
		days, _ := in.member("StorageConfiguration").number("RetentionPeriodInDays")
		b, err := s.CreateBus(in.text("Name"), int(days))
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		b.description = in.text("Description")
		return b.described(), nil
	case "DescribeEventBus":
		s.mu.Lock()
		defer s.mu.Unlock()
		b, err := s.busLocked(in.text("EventBusArn"))
		if err != nil {
			return nil, err
		}
		return b.described(), nil
	case "ListEventBuses":
		list := []any{}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range s.order {
			list = append(list, b.described())
		}
		return map[string]any{"EventBuses": list}, nil
	case "DeleteEventBus":
		return map[string]any{}, s.deleteBus(in.text("EventBusArn"))
	case "CreateSubscriber":
		return s.createSubscriber(in)
	case "ListSubscribers":
		return s.listSubscribers(in.text("EventBusArn"))
	case "DescribeSubscriber", "UpdateSubscriber", "DeleteSubscriber":
		sub, err := s.subscriber(in.text("SubscriberArn"))
		if err != nil {
			return nil, err
		}
		switch operation {
		case "UpdateSubscriber":
			err = sub.update(in)
		case "DeleteSubscriber":
			sub.Delete()
			return map[string]any{}, nil
		}
		return sub.described(), err
	}
	return nil, &Error{404, "UnknownOperationException", "this stand-in does not know " + operation}
}

func (s *Service) bus(arn string) (*Bus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busLocked(arn)
}

func (s *Service) subscriber(arn string) (*Subscriber, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.order {
		for _, sub := range b.subscribers {
			if sub.ARN == arn {
				return sub, nil
			}
		}
	}
	return nil, notFound("the subscriber", arn)
}

func (b *Bus) described() map[string]any {
	return withoutEmpty(map[string]any{
		"EventBusArn": b.ARN, "Name": b.Name, "Description": b.description, "State": b.state(), "CreationTime": b.Created,
		"StorageConfiguration": map[string]any{"RetentionPeriodInDays": b.RetentionDays},
	})
}

func (sub *Subscriber) described() map[string]any {
	s := sub.bus.service
	s.mu.Lock()
	defer s.mu.Unlock()
	spec := &sub.plan.Spec
	state, kind, start := "RUNNING", "UNORDERED", "LATEST"
	if sub.stopped {
		state = "STOPPED"
	}
	if spec.FIFO {
		kind = "FIFO"
	}
	if spec.Horizon || !spec.From.IsZero() {
		start = "POINT_IN_TIME"
	}
	filters := []any{}
	for _, f := range spec.Filters {
		filters = append(filters, map[string]any{"Pattern": f.Pattern, "Scope": string(f.Scope)})
	}
	out := map[string]any{
		"SubscriberArn": sub.ARN, "Name": sub.Name, "EventBusArn": sub.bus.ARN, "Description": spec.Description, "State": state, "Type": kind, "StartingPosition": start, "CreationTime": sub.Created,
		"InvokeConfiguration": map[string]any{"TargetArn": spec.Invoke.TargetARN},
		"BatchConfiguration":  map[string]any{"MaxBatchSize": spec.MaxBatch, "MaxBatchWindowInSeconds": int(spec.Window / time.Second)},
		"Transformer":         map[string]any{"Type": string(spec.Transformer.Type)},
		"RetryPolicy":         map[string]any{"MaxRetryAttempts": *spec.MaxRetries, "MaxEventAgeInSeconds": int(spec.MaxAge / time.Second)},
	}
	if spec.DeadLetters != "" {
		out["OnFailureConfiguration"] = map[string]any{"Arn": spec.DeadLetters}
	}
	if len(filters) > 0 {
		out["FilterConfiguration"] = map[string]any{"Filters": filters, "Language": "EVENT_BRIDGE_PATTERN"}
	}
	return withoutEmpty(out)
}

func (s *Service) listSubscribers(bus string) (any, error) {
	s.mu.Lock()
	var subscribers []*Subscriber
	for _, b := range s.order {
		if bus == "" || b.ARN == bus {
			subscribers = append(subscribers, b.subscribers...)
		}
	}
	s.mu.Unlock()
	list := []any{}
	for _, sub := range subscribers {
		list = append(list, sub.described())
	}
	return map[string]any{"Subscribers": list}, nil
}

func (s *Service) createSubscriber(in node) (any, error) {
	b, err := s.bus(in.text("EventBusArn"))
	if err != nil {
		return nil, err
	}
	spec, err := specOf(in, Spec{})
	if err != nil {
		return nil, err
	}
	sub, err := b.Subscribe(spec)
	if err != nil {
		return nil, err
	}
	return sub.described(), nil
}

// update changes the parts of a subscriber that a request names, and starts or stops it.
func (sub *Subscriber) update(in node) error {
	s := sub.bus.service
	s.mu.Lock()
	was := sub.plan.Spec
	s.mu.Unlock()
	spec, err := specOf(in, was)
	if err != nil {
		return err
	}
	fresh, err := sub.planOf(spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	sub.plan = fresh
	s.mu.Unlock()
	switch in.text("State") {
	case "STOPPED":
		sub.Stop()
	case "RUNNING":
		sub.Resume(in.text("ResumePosition") == "LATEST")
	}
	return nil
}

// specOf returns spec with the changes of a request.
func specOf(in node, spec Spec) (Spec, error) {
	spec.Name, spec.Description = cmp.Or(in.text("Name"), spec.Name), cmp.Or(in.text("Description"), spec.Description)
	if invoke := in.member("InvokeConfiguration"); invoke.there() {
		spec.Invoke = invokeOf(invoke, spec.Invoke.TargetARN)
	}
	if filters := in.member("FilterConfiguration"); filters.there() {
		spec.Filters = nil
		for _, f := range filters.list("Filters") {
			spec.Filters = append(spec.Filters, Filter{Pattern: f.text("Pattern"), Scope: Scope(f.text("Scope"))})
		}
	}
	if t := in.member("Transformer"); t.there() {
		spec.Transformer = Transformer{TransformerType(t.text("Type")), t.member("JsonataConfiguration").text("Expression")}
	}
	spec.FIFO = spec.FIFO || in.text("Type") == "FIFO"
	batch, retry := in.member("BatchConfiguration"), in.member("RetryPolicy")
	if n, ok := batch.number("MaxBatchSize"); ok {
		spec.MaxBatch = int(n)
	}
	if n, ok := batch.number("MaxBatchWindowInSeconds"); ok {
		spec.Window = time.Duration(n) * time.Second
	}
	if n, ok := retry.number("MaxRetryAttempts"); ok {
		attempts := int(n)
		spec.MaxRetries = &attempts
	}
	if n, ok := retry.number("MaxEventAgeInSeconds"); ok {
		spec.MaxAge = time.Duration(n) * time.Second
	}
	spec.DeadLetters = cmp.Or(in.member("OnFailureConfiguration").text("Arn"), spec.DeadLetters)
	if in.text("State") == "STOPPED" && in.text("SubscriberArn") == "" {
		spec.Stopped = true
	}
	point := in.member("PointInTimeConfiguration")
	switch start := in.text("StartingPosition"); {
	case start == "" || start == "LATEST":
	case start != "POINT_IN_TIME" || !point.there():
		return spec, invalid("the starting position is LATEST, or POINT_IN_TIME with its configuration")
	case point.text("PointType") == "HORIZON":
		spec.Horizon = true
	default:
		if spec.From = point.time("StartingPoint"); spec.From.IsZero() {
			return spec, invalid("a point in time is HORIZON, or TIMESTAMP with a StartingPoint")
		}
	}
	if point.there() {
		spec.Until = point.time("EndPoint")
	}
	return spec, nil
}

// invokeOf reads an InvokeConfiguration. An update names no target.
func invokeOf(in node, target string) Invoke {
	i := Invoke{TargetARN: cmp.Or(in.text("TargetArn"), target), Sync: in.member("LambdaParameters").text("InvocationType") == "REQUEST_RESPONSE", Attributes: map[string]string{}}
	queue, topic, bus := in.member("SqsParameters"), in.member("SnsParameters"), in.member("EventBusV2Parameters")
	for _, parameters := range []node{queue, topic} {
		attributes := parameters.member("MessageAttributes")
		for _, name := range attributes.names() {
			i.Attributes[name] = attributes.member(name).text("StringValue")
		}
	}
	i.TraceHeader = queue.member("MessageSystemAttributes").member("AWSTraceHeader").text("StringValue")
	i.Metadata = bus.texts("Metadata")
	i.Group = cmp.Or(bus.member("SystemMetadata").text("EventGroupId"), queue.text("MessageGroupId"), topic.text("MessageGroupId"))
	i.DeduplicationID = cmp.Or(bus.member("SystemMetadata").text("DeduplicationId"), queue.text("MessageDeduplicationId"), topic.text("MessageDeduplicationId"))
	i.ByContent = bus.member("DeduplicationConfiguration").text("DeduplicationType") == "CONTENT_BASED"
	return i
}
