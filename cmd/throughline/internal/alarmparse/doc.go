// Package alarmparse reads the alarms of CloudFormation and SAM templates and of shell
// scripts, so that lint can check alarms that Throughline did not write. Its functions
// are pure.
package alarmparse
