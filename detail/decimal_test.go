package detail

import (
	"encoding/json"
	"math/big"
	"strings"
)

// fixed is a decimal of the shape of github.com/shopspring/decimal's.
type fixed struct {
	coefficient *big.Int
	exponent    int32
}

func newFixed(coefficient int64, exponent int32) fixed {
	return fixed{big.NewInt(coefficient), exponent}
}

func parseFixed(text string) fixed {
	whole, fraction, _ := strings.Cut(text, ".")
	coefficient, _ := new(big.Int).SetString(whole+fraction, 10)
	return fixed{coefficient, -int32(len(fraction))}
}

func (f fixed) Coefficient() *big.Int {
	if f.coefficient == nil {
		return new(big.Int)
	}
	return f.coefficient
}

func (f fixed) Exponent() int32 { return f.exponent }

// String is the number without an exponent and without trailing zeros.
func (f fixed) String() string {
	digits := new(big.Int).Abs(f.Coefficient()).String()
	sign := strings.Repeat("-", max(0, -f.Coefficient().Sign()))
	if f.exponent >= 0 {
		return sign + digits + strings.Repeat("0", int(f.exponent))
	}
	places := int(-f.exponent)
	digits = strings.Repeat("0", max(0, places+1-len(digits))) + digits
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	return sign + strings.TrimSuffix(whole+"."+fraction, ".")
}

// MarshalJSON is what encoding/json would write. Encode does not use it.
func (f fixed) MarshalJSON() ([]byte, error) { return json.Marshal("marshaled " + f.String()) }

// nullFixed is a decimal that a database may lack.
type nullFixed struct {
	Decimal fixed
	Valid   bool
}

func (n nullFixed) MarshalJSON() ([]byte, error) { return json.Marshal("marshaled") }
