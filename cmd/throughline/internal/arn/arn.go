// Package arn takes names out of Amazon Resource Names (AWS general reference,
// "Amazon Resource Names"). Its functions are pure, and give back what is no ARN
// as it is.
package arn

import "strings"

// Name is the last part of an ARN: the rule of rule/BUS/RULE, the name of a queue.
func Name(arn string) string {
	if i := strings.LastIndexAny(arn, ":/"); i >= 0 {
		return arn[i+1:]
	}
	return arn
}

// Named is the name in an ARN that ends in a name and an ID which AWS made up, as
// event-busv2/NAME/ID and subscriber/NAME/ID do.
func Named(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return Name(arn)
	}
	return parts[len(parts)-2]
}

// Names are the names of several ARNs.
func Names(arns []string) []string {
	list := make([]string, len(arns))
	for i, a := range arns {
		list[i] = Name(a)
	}
	return list
}

// Function is the name of a Lambda function, without version or alias.
func Function(arn string) string {
	if _, name, ok := strings.Cut(arn, ":function:"); ok {
		name, _, _ = strings.Cut(name, ":")
		return name
	}
	return arn
}

// Service is the service of an ARN, as lambda; empty where arn is none.
func Service(arn string) string { return part(arn, 2) }

// Region is the Region of an ARN, empty where it has none.
func Region(arn string) string { return part(arn, 3) }

// Account is the account ID of an ARN, empty where it has none.
func Account(arn string) string { return part(arn, 4) }

func part(arn string, i int) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[i]
	}
	return ""
}
