// Package render writes a set of alarms as what others deploy: a CloudFormation
// template, a SAM one, Terraform, a shell script of AWS CLI calls, a dashboard,
// and a picture of it. It is pure and deterministic: the same set gives the same
// bytes. It also reads CloudFormation templates and shell scripts back, so that
// alarms which others wrote can be linted, and so that the outputs can be held
// to the set.
package render
