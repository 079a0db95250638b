// Package render writes a set of alarms in formats that other tools deploy:
// CloudFormation, SAM, Terraform, a shell script of AWS CLI calls, and a dashboard. It
// also draws the dashboard as a page. It is pure and deterministic: the same set gives
// the same bytes.
package render
