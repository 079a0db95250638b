package stage

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
)

// front serves the buses, classic and new, and throttles calls if a fault says so. It also
// serves the other services, so that its URL can stand for the account: for the commands,
// and as --endpoint-url of AWS's clients.
func (s *Stage) front() (url string, end func(), err error) {
	return serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := r.Header.Get("X-Amz-Target")
		switch {
		case strings.HasPrefix(r.URL.Path, "/service/AWSEventsV2/"):
			if s.options.Faults.Throttled("PutEvents") {
				s.fresh.Throttle(1)
			}
			s.fresh.ServeHTTP(w, r)
		case strings.HasPrefix(target, "AmazonSQS."):
			s.queues.ServeHTTP(w, r)
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/2015-03-31/"):
			s.list(w, r)
		case strings.HasPrefix(r.URL.Path, "/2015-03-31/"), strings.HasPrefix(r.URL.Path, "/2014-11-13/"):
			s.invoke.ServeHTTP(w, r)
		case target == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			s.topics.ServeHTTP(w, r)
		default:
			if s.options.Faults.Throttled("PutEvents") {
				s.bus.Throttle(1)
			}
			s.bus.ServeHTTP(w, r)
		}
	}))
}

// list serves Lambda's ListFunctions and ListEventSourceMappings, with the members from
// which throughline dlq finds the function of a message.
func (s *Stage) list(w http.ResponseWriter, r *http.Request) {
	answer := map[string]any{}
	switch strings.Trim(r.URL.Path, "/") {
	case "2015-03-31/functions":
		list := []any{}
		for _, f := range s.plan.Functions {
			one := map[string]any{"FunctionName": f.Name, "FunctionArn": plan.FunctionARN(f.Name)}
			if f.DeadLetter != "" {
				one["DeadLetterConfig"] = map[string]string{"TargetArn": f.DeadLetter}
			}
			list = append(list, one)
		}
		answer["Functions"] = list
	case "2015-03-31/event-source-mappings":
		list := []any{}
		of := r.URL.Query().Get("EventSourceArn")
		for _, m := range s.plan.Mappings {
			if of == "" || of == m.Source {
				list = append(list, map[string]any{"UUID": m.ID, "FunctionArn": plan.FunctionARN(m.Function), "EventSourceArn": m.Source})
			}
		}
		answer["EventSourceMappings"] = list
	default:
		s.invoke.ServeHTTP(w, r) // refuses it
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client may have gone
}
