package render_test

import (
	"fmt"
	"strings"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/cmd/throughline/internal/alarmparse"
	"github.com/throughline/throughline/cmd/throughline/internal/render"
)

func set() alarms.Set {
	s, err := alarms.Compile([]byte("name: orders\nparameters: {Queue: {}}\nresources: [{kind: dlq, name: \"${Queue}\"}]"))
	if err != nil {
		panic(err)
	}
	return s
}

func ExampleCloudFormation() {
	files, err := render.CloudFormation(set(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range strings.Split(string(files[0].Data), "\n")[:16] {
		fmt.Println(line)
	}
	// Output:
	// AWSTemplateFormatVersion: "2010-09-09"
	// Description: CloudWatch alarms of orders, rendered by throughline
	// Parameters:
	//   Queue:
	//     Type: String
	// Resources:
	//   QueueDepth:
	//     Properties:
	//       ActionsEnabled: true
	//       AlarmDescription: 'critical: messages wait in the dead-letter queue'
	//       AlarmName:
	//         Fn::Sub: orders/${Queue}-depth
	//       ComparisonOperator: GreaterThanOrEqualToThreshold
	//       DatapointsToAlarm: 1
	//       Dimensions:
	//         - Name: QueueName
}

func ExampleTerraform() {
	files, err := render.Terraform(set())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range strings.Split(string(files[0].Data), "\n") {
		if strings.Contains(line, "var.") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// alarm_name          = "orders/${var.queue}-depth"
	// QueueName = var.queue
}

func ExampleShell() {
	files, err := render.Shell(set())
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := alarmparse.Shell(files[0].Data)
	fmt.Println(back.Alarms[0].Name, err)
	// Output: orders/${Queue}-depth <nil>
}

func ExamplePanels() {
	for _, p := range render.Panels(set()) {
		fmt.Println(p.Section, "/", p.Title)
	}
	// Output: dlq ${Queue} / ${Queue}-depth
}
