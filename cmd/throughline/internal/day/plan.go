package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// planOptions are the parameters of a day.
type planOptions struct {
	seed               int64
	strategies, trades int
	faults             bool
}

// plan is the content of the file DAY_PLAN, which the functions of the day read.
type plan struct {
	Strategies []strategy `json:"strategies"`
}

type strategy struct {
	ID     string  `json:"id"`
	Trades []trade `json:"trades"`
	Dies   bool    `json:"dies,omitempty"`  // its worker fails at every attempt
	Stale  bool    `json:"stale,omitempty"` // its worker requests prices first
}

type trade struct {
	Symbol string `json:"symbol"`
	Action string `json:"action"`
	Poison bool   `json:"poison,omitempty"` // fails until an operator repairs the cause
}

// newPlan distributes the trades. Of 16 strategies, 13 trade, each at least once.
func newPlan(o planOptions) plan {
	random := rand.New(rand.NewPCG(uint64(o.seed), 38))
	p := plan{Strategies: make([]strategy, o.strategies)}
	trading := min(o.trades, max(1, int(math.Round(float64(o.strategies)*13/16))))
	for i := range p.Strategies {
		p.Strategies[i] = strategy{ID: fmt.Sprintf("strategy-%02d", i+1), Trades: []trade{}}
	}
	order := random.Perm(o.strategies)
	for n := range o.trades {
		chosen := n
		if n >= trading {
			chosen = random.IntN(trading)
		}
		s := &p.Strategies[order[chosen]]
		action := "BUY"
		if random.IntN(2) == 0 {
			action = "SELL"
		}
		s.Trades = append(s.Trades, trade{Symbol: fmt.Sprintf("SYM%02d-%d", random.IntN(30), len(s.Trades)), Action: action})
	}
	if o.faults {
		if trading < o.strategies {
			p.Strategies[order[trading]].Dies = true
		}
		p.Strategies[order[0]].Stale = true
		if trades := p.Strategies[order[0]].Trades; len(trades) > 0 {
			trades[random.IntN(len(trades))].Poison = true
		}
	}
	return p
}
