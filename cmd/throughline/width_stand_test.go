package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// longID is an ID as SDKs make them.
const longID = "6513270e-269e-4d37-b2a7-4de452e6b438"

// wideAnswers are what CloudWatch, SNS, Logs Insights and an application of throughline dev
// answer, with names as long as an account has them. The queries of CloudWatch and SNS are
// found by their Action, those of Logs by their target, those of the application by path.
var wideAnswers = map[string]string{
	"DescribeAlarms": `<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms><member><AlarmName>any</AlarmName><ActionsEnabled>true</ActionsEnabled><StateValue>OK</StateValue>` +
		`<AlarmActions><member>arn:aws:sns:eu-west-1:123456789012:the-alerts-of-the-whole-trading-desk</member></AlarmActions></member></MetricAlarms></DescribeAlarmsResult></DescribeAlarmsResponse>`,
	"DescribeAlarmHistory": `<DescribeAlarmHistoryResponse><DescribeAlarmHistoryResult><AlarmHistoryItems><member><AlarmName>trading-of-the-whole-desk/the-strategy-of-the-whole-desk-errors</AlarmName>` +
		`<Timestamp>2030-01-01T10:00:00Z</Timestamp><HistoryItemType>Action</HistoryItemType><HistorySummary>Failed to execute action arn:aws:sns:eu-west-1:123456789012:the-alerts-of-the-whole-trading-desk. Received error: &quot;CloudWatch Alarms is not authorized to perform: SNS:Publish on resource&quot;</HistorySummary></member></AlarmHistoryItems></DescribeAlarmHistoryResult></DescribeAlarmHistoryResponse>`,
	"SetAlarmState":            `<SetAlarmStateResponse/>`,
	"ListSubscriptionsByTopic": `<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions/></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`,
	"GetTopicAttributes":       `<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes/></GetTopicAttributesResult></GetTopicAttributesResponse>`,
	"DescribeQueryDefinitions": `{"queryDefinitions":[]}`,
	"PutQueryDefinition":       `{"queryDefinitionId":"` + longID + `"}`,
	"StartQuery":               `{"queryId":"` + longID + `"}`,
	"GetQueryResults": `{"status":"Complete","results":[[{"field":"@timestamp","value":"2030-01-01 10:00:00.000"},{"field":"event_id","value":"trade-` + longID + `"},` +
		`{"field":"event_type","value":"TheTradeOfTheWholeDeskWasExecuted"},{"field":"kind","value":"redelivery"},{"field":"service","value":"the-portfolio-of-the-whole-desk"}]]}`,
	"/app/send": `[{"id":"` + longID + `","bus":"the-bus-of-the-whole-desk","type":"TheOrderOfTheWholeDeskWasPlaced","correlation_id":"workflow-` + longID + `","rules":["the-rule-of-the-strategy-of-the-desk","the-rule-of-the-audit-of-the-desk"]},` +
		`{"id":"` + longID + `","bus":"orders","type":"OrderPlaced","correlation_id":"` + longID + `","rules":[],"near":"the nearest is the-rule-of-the-strategy-of-the-desk: detail.status: the rule wants \"paid\", the event has \"Paid\": they differ in capitals"}]`,
	"/app/replay": `{"events":100000,"matched":99999}`,
	"/app/fire":   `{"fired":"TheStrategyOfTheWholeDeskDaily"}`,
}

// wideStand answers with wideAnswers. It returns its address, and the folder by which the
// verbs of dev find it.
func wideStand(t *testing.T) (address, dir string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		for _, key := range []string{r.URL.Path, target, form.Get("Action")} {
			if text, ok := wideAnswers[key]; ok {
				fmt.Fprint(w, text)
				return
			}
		}
		t.Errorf("no answer to %s %s %s", r.URL.Path, target, form.Get("Action"))
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(server.Close)
	dir = t.TempDir()
	data, err := json.Marshal(map[string]any{"page": server.URL, "token": "t"})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "application.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, dir
}
