// Package arn reads the parts of Amazon Resource Names (AWS general reference, "Amazon
// Resource Names"). Its functions are pure. A text that is not an ARN is returned
// unchanged where a name is asked for.
package arn

import "strings"

// Name returns the last part of an ARN: RULE of rule/BUS/RULE, the name of a queue.
func Name(arn string) string {
	if i := strings.LastIndexAny(arn, ":/"); i >= 0 {
		return arn[i+1:]
	}
	return arn
}

// Named returns the name in an ARN that ends in a name and an ID that AWS generated, such
// as event-busv2/NAME/ID and subscriber/NAME/ID.
func Named(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return Name(arn)
	}
	return parts[len(parts)-2]
}

// Names returns the names of several ARNs.
func Names(arns []string) []string {
	list := make([]string, len(arns))
	for i, a := range arns {
		list[i] = Name(a)
	}
	return list
}

// Function returns the name of a Lambda function, without version or alias.
func Function(arn string) string {
	if _, name, ok := strings.Cut(arn, ":function:"); ok {
		name, _, _ = strings.Cut(name, ":")
		return name
	}
	return arn
}

// Service returns the service of an ARN, such as lambda, or "" if arn is not an ARN.
func Service(arn string) string { return part(arn, 2) }

// Region returns the Region of an ARN, or "" if it has none.
func Region(arn string) string { return part(arn, 3) }

// Account returns the account ID of an ARN, or "" if it has none.
func Account(arn string) string { return part(arn, 4) }

func part(arn string, i int) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[i]
	}
	return ""
}
