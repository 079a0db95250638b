package arn

import "testing"

func TestParts(t *testing.T) {
	const rule, function = "arn:aws:events:eu-west-1:123456789012:rule/trading/signals", "arn:aws:lambda:eu-west-1:123456789012:function:portfolio:live"
	for _, tt := range []struct{ got, want string }{
		{Name(rule), "signals"}, {Name("arn:aws:sqs:r:a:dead"), "dead"}, {Name("plain"), "plain"}, {Names([]string{rule})[0], "signals"},
		{Named("arn:aws:events:eu-west-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"), "orders"}, {Named("arn:aws:events:eu-west-1:123456789012:event-bus/orders"), "orders"}, {Named("plain"), "plain"},
		{Function(function), "portfolio"}, {Function("portfolio"), "portfolio"},
		{Service(function), "lambda"}, {Region(rule), "eu-west-1"}, {Account(rule), "123456789012"}, {Account("plain"), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
