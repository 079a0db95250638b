package cloudwatch

import (
	"context"
	"fmt"

	"github.com/throughline/throughline/alarms"
)

// exampleSet is a spec of one alarm, resolved.
func exampleSet() alarms.Set {
	s, err := alarms.Compile([]byte("name: orders\nresources: [{kind: dlq, name: orders-dlq}]"))
	if err != nil {
		panic(err)
	}
	if s, err = s.Resolve(nil); err != nil {
		panic(err)
	}
	return s
}

func ExampleMake() {
	api := newFake() // NewClient(cfg)
	plan, err := Make(context.Background(), api, exampleSet(), nil, alarms.DefaultPrices(), api.pace())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range plan.Steps {
		fmt.Printf("%s %s, $%.2f a month\n", s.Action, s.Name, s.Dollars)
	}
	// Output: create orders/orders-dlq-depth, $0.10 a month
}

func ExampleApply() {
	ctx, api, set := context.Background(), newFake(), exampleSet() // NewClient(cfg)
	for range 2 {
		plan, err := Make(ctx, api, set, nil, alarms.DefaultPrices(), api.pace())
		if err != nil {
			fmt.Println(err)
			return
		}
		err = Apply(ctx, api, plan, api.pace(), func(s Step, err error) { fmt.Println(s.Action, s.Name, err) })
		fmt.Println(len(plan.Steps), "steps,", plan.Kept, "as they should be,", err)
	}
	// Output:
	// create orders/orders-dlq-depth <nil>
	// 1 steps, 0 as they should be, <nil>
	// 0 steps, 1 as they should be, <nil>
}

func ExampleDrift() {
	ctx, api, set := context.Background(), newFake(), exampleSet() // NewClient(cfg)
	found, err := Drift(ctx, api, nil, nil, set, api.pace())
	fmt.Println(found[0].Class, found[0].Name, err)
	// Output: missing orders/orders-dlq-depth <nil>
}

func ExampleCheck() {
	found, err := Check(context.Background(), listed{}, exampleSet(), newFake().pace())
	fmt.Println(found[0].Verdict, found[0].Stat.Metric, err)
	// Output: quiet ApproximateNumberOfMessagesVisible <nil>
}
