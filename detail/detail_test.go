package detail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var newYork = time.FixedZone("EST", -5*3600)

type leg struct {
	Price  fixed     `json:"price"`
	Limit  *fixed    `json:"limit"`
	Filled time.Time `json:"filled"`
	Err    error     `json:"err,omitempty"`
}

// priced is an error that marshals itself.
type priced struct{ Code int }

func (priced) Error() string { return "no price" }
func (p priced) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{ "code" : %d }`, p.Code), nil
}

type coded struct{}

func (*coded) Error() string     { return "slow down" }
func (*coded) ErrorCode() string { return "ThrottlingException" }

// spaced is a detail that a re-encoding would change.
const spaced = `{"b": 1.50, "event_id": "signal-1",  "correlation_id": "workflow-1", "big": 12345678901234567890, "ü": "\u2713"}`

func TestEncode(t *testing.T) {
	d := parseFixed("0.58278801092041906983149555")
	at := time.Date(2026, 2, 13, 15, 45, 3, 184220000, newYork)
	for _, tt := range []struct {
		name  string
		value any
		want  string
		opts  []Option
	}{
		{"DecimalsAreStrings", map[string]any{"d": d, "p": &d, "n": nullFixed{}, "m": nullFixed{d, true}, "o": &nullFixed{d, true}, "f": big.NewFloat(1.5), "j": json.Number("1e3")},
			`{"d":"0.58278801092041906983149555","f":"1.5","j":"1e3","m":"0.58278801092041906983149555","n":null,"o":"0.58278801092041906983149555","p":"0.58278801092041906983149555"}`, nil},
		{"DecimalsAreNumbers", map[string]any{"d": d, "f": *big.NewFloat(1e30), "j": json.Number("-0.10"), "m": nullFixed{d, true}},
			`{"d":0.58278801092041906983149555,"f":1e+30,"j":-0.10,"m":0.58278801092041906983149555}`, []Option{WithDecimalNumbers()}},
		{"LargeDecimalsAreStrings", map[string]any{"d": parseFixed("12345678901234567890"), "j": json.Number("12345678901234567890")}, `{"d":"12345678901234567890","j":"12345678901234567890"}`, nil},
		{"TimesAreUTC", map[string]any{"t": at, "p": &at}, `{"p":"2026-02-13T20:45:03.18422Z","t":"2026-02-13T20:45:03.18422Z"}`, nil},
		{"ThroughStructures", map[string]any{"legs": []leg{{Price: d, Limit: &d, Filled: at, Err: fs.ErrNotExist}, {}}},
			`{"legs":[{"price":"0.58278801092041906983149555","limit":"0.58278801092041906983149555","filled":"2026-02-13T20:45:03.18422Z","err":{"error_type":"*errors.errorString","error_message":"file does not exist"}},{"price":"0","limit":null,"filled":"0001-01-01T00:00:00Z"}]}`, nil},
		{"AnErrorIsADetail", fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}), `{"error_type":"*fs.PathError","error_message":"open: open x: file does not exist"}`, nil},
		{"AnErrorWithACode", []map[string]error{{"e": &coded{}}}[0], `{"e":{"error_type":"ThrottlingException","error_message":"slow down"}}`, nil},
		{"AnErrorThatMarshalsItself", map[string]error{"e": priced{7}}, `{"e":{"code":7}}`, nil},
		{"TextIsNotEscapedForHTML", map[string]string{"t": "a<b>&ü\u2028\t\x01\"\\"}, `{"t":"a<b>&ü\u2028\t\u0001\"\\"}`, nil},
		{"AReadyDetail", json.RawMessage(" { \"a\" : 1 } "), `{"a":1}`, nil},
		{"FloatsBeyondInt64", map[string]float64{"f": 1e19, "g": 1e-9}, `{"f":1e+19,"g":1e-9}`, nil},
		{"AsAString", struct {
			U uint64      `json:"u,string"`
			S string      `json:"s,string"`
			N json.Number `json:"n,string"`
		}{math.MaxUint64, "x", "1"}, `{"u":"18446744073709551615","s":"\"x\"","n":"1"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Encode(tt.value, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if err := Validate(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func nest(n int) any {
	v := any(1)
	for range n {
		v = map[string]any{"a": v}
	}
	return v
}

type loop *loop

func TestEncodeRefuses(t *testing.T) {
	var itself loop
	itself = &itself
	for _, tt := range []struct {
		name  string
		value any
		want  string
		opts  []Option
	}{
		{"NaN", map[string]any{"legs": []leg{}, "x": []any{1, map[string]float64{"rate of return": math.NaN()}}}, `$.x[1]["rate of return"]: JSON has no NaN`, nil},
		{"Inf", struct{ A []float32 }{[]float32{0, float32(math.Inf(-1))}}, "$.A[1]: JSON has no NaN", nil},
		{"BigInf", map[string]any{"f": new(big.Float).SetInf(true)}, "$.f: JSON has no NaN", nil},
		{"UintBeyondInt64", map[string]uint64{"n": math.MaxInt64 + 1}, "$.n: an integer beyond int64", nil},
		{"BigIntBeyondInt64", map[string]any{"n": new(big.Int).Lsh(big.NewInt(1), 63)}, "$.n: an integer beyond int64", nil},
		{"DecimalBeyondInt64", map[string]any{"n": newFixed(1, 19)}, "$.n: an integer beyond int64", []Option{WithDecimalNumbers()}},
		{"AnEndlessDecimal", map[string]any{"n": newFixed(1, math.MaxInt32)}, "$.n: a decimal with the exponent", nil},
		{"NotANumber", map[string]any{"n": json.Number("1x")}, "$.n: not a number", nil},
		{"Deep", nest(1001), ".a: nested more than 1000 deep", nil},
		{"Endless", map[string]any{"p": itself}, "$.p: nested more than 1000 deep", nil},
		{"DeepInAMarshaler", map[string]any{"r": json.RawMessage(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))}, "[0]: nested more than 1000 deep", nil},
		{"NotUTF8", map[string]any{"s": []string{"ok", "\xff"}}, "$.s[1]: not UTF-8", nil},
		{"NameNotUTF8", map[string]any{"\xff": 1}, "$: a member's name: not UTF-8", nil},
		{"MarshalerNotUTF8", map[string]any{"r": json.RawMessage("{\"a\":\"\xff\"}")}, "$.r.a: not UTF-8", nil},
		{"MarshalerNotJSON", map[string]any{"r": json.RawMessage("{]")}, "$.r: not JSON at byte 1", nil},
		{"MarshalerBeyondInt64", map[string]any{"r": json.RawMessage(`[9223372036854775808]`)}, "$.r[0]: an integer beyond int64", nil},
		{"AnError", map[string]any{"e": errors.New("\xff")}, "$.e.error_message: not UTF-8", nil},
		{"AYear", map[string]any{"t": time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)}, "$.t: RFC 3339 has no form", nil},
		{"NoForm", map[string]any{"f": func() {}}, "$.f: a func() has no form in JSON", nil},
		{"Keys", map[string]any{"m": map[float64]int{1: 1}}, "$.m: a map whose keys are float64", nil},
		{"NoObject", []int{1}, "$: a detail must be a JSON object", nil},
		{"Nil", nil, "$: a detail must be a JSON object", nil},
		{"Bytes", []byte(`{}`), "wrap ready JSON in json.RawMessage", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Encode(tt.value, tt.opts...)
			var refused *Error
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := Encode(nest(1000)); err != nil {
		t.Errorf("1000 deep: %v", err)
	}
}

type Base struct {
	ID   string
	Dup  int
	Deep int
}

type other struct {
	Dup    int
	Hidden int
}

type pointed struct{ Reached string }

type everything struct {
	Base
	other // of two equal names, Dup, none wins
	*pointed
	Deep    string
	Named   Base           `json:"named"`
	Skip    string         `json:"-"`
	Dash    string         `json:"-,"` //nolint:staticcheck // encoding/json names it "-"
	Empty   []int          `json:",omitempty"`
	Zero    netip.Addr     `json:"zero,omitzero"`
	Bytes   []byte         `json:"bytes"`
	Array   [2]byte        `json:"array"`
	Any     any            `json:"any"`
	Ints    map[int]string `json:"ints"`
	Addr    netip.Addr     `json:"addr"`
	Quoted  *int           `json:"quoted,string"`
	F32     float32
	F64     float64
	Big     big.Int
	private int
	Bad     string `json:"a\"b"` //nolint:staticcheck // encoding/json ignores such a name
}

// TestPlainValuesAreWrittenAsByEncodingJSON holds the struct rules to the standard library's.
func TestPlainValuesAreWrittenAsByEncodingJSON(t *testing.T) {
	n := 3
	for _, v := range []any{
		everything{}, &everything{pointed: &pointed{"r"}, Empty: []int{1}, Bytes: []byte("xyz"), Any: map[string]any{"b": nil, "a": []any{true, "ü"}}, Ints: map[int]string{10: "a", 9: "b"},
			Addr: netip.MustParseAddr("::1"), Quoted: &n, F32: 1.1, F64: 1e-7, Big: *big.NewInt(5), private: 1},
		map[netip.Addr]int{netip.MustParseAddr("10.0.0.1"): 1}, struct{ A, B *everything }{A: &everything{}},
	} {
		got, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if want := standard(t, v); string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func standard(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestValidate(t *testing.T) {
	for detail, want := range map[string]string{
		spaced:                                  `$.big: an integer beyond int64`,
		`{"a":9223372036854775807}`:             "",
		`{"a":-9223372036854775808,"b":1e400}`:  "",
		`{"a":-9223372036854775809}`:            "$.a: an integer beyond int64",
		`{"a":[1,{"b c":9223372036854775808}]}`: `$.a[1]["b c"]: an integer beyond int64`,
		"{\"a\":[\"\xff\"]}":                    "$.a[0]: not UTF-8",
		"{\"\xff\":1}":                          "$: a member's name: not UTF-8",
		`[]`:                                    "$: a detail must be a JSON object",
		``:                                      "$: a detail must be a JSON object",
		`{} x`:                                  "$: there is more after the object",
		`{"a":NaN}`:                             "$.a: not JSON at byte 5",
		`{"a":1,}`:                              "$: not JSON at byte 7",
		`{"a":"`:                                "$.a: the JSON ends early",
		"{\"a\":\"\t\"}":                        "$.a: a control character",
		`{"a":"\x"}`:                            "$.a: not an escape",
		`{"a":` + strings.Repeat("[", 999) + strings.Repeat("]", 999) + `}`:   "",
		`{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`: "nested more than 1000 deep",
	} {
		err := Validate([]byte(detail))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60s: got %v, want %q", detail, err, want)
		}
	}
}

// FuzzValidate holds the grammar to encoding/json's.
func FuzzValidate(f *testing.F) {
	for _, seed := range []string{spaced, `{"a":[1.5e-3,-0,true,false,null,"\u00e9\n",{}]}`, "{\"a\":\"\xff\"}", `{"a":01}`, `{"a":1`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Validate(data)
		var object map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		readable := json.Valid(data) && decoder.Decode(&object) == nil && object != nil
		var refused *Error
		switch {
		case err == nil && !readable:
			t.Errorf("%q is accepted", data)
		case errors.As(err, &refused) && readable && refused.Reason != beyondInt64 && refused.Reason != tooDeep && !strings.HasSuffix(refused.Reason, notUTF8):
			t.Errorf("%q is refused: %v", data, err)
		}
	})
}

// grow builds a value out of arbitrary bytes.
func grow(data *[]byte, depth int) any {
	next := func() byte {
		if len(*data) == 0 {
			return 0
		}
		b := (*data)[0]
		*data = (*data)[1:]
		return b
	}
	text := func() string {
		n := min(int(next()), len(*data))
		s := string((*data)[:n])
		*data = (*data)[n:]
		return s
	}
	eight := func() (u uint64) {
		for range 8 {
			u = u<<8 | uint64(next())
		}
		return u
	}
	kind := next()
	if depth > 6 {
		kind %= 12
	}
	switch kind % 18 {
	case 0:
		return nil
	case 1:
		return math.Float64frombits(eight())
	case 2:
		return eight()
	case 3:
		return int64(eight())
	case 4:
		return text()
	case 5:
		return newFixed(int64(eight()), int32(int8(next())))
	case 6:
		return new(big.Float).SetMantExp(big.NewFloat(float64(int64(eight()))), int(next()))
	case 7:
		return json.Number(text())
	case 8:
		return time.Unix(int64(eight()>>28)-1<<35, int64(next())).In(newYork)
	case 9:
		return errors.New(text())
	case 10:
		return json.RawMessage(text())
	case 11:
		return math.Float32frombits(uint32(eight()))
	case 12:
		return leg{Price: newFixed(int64(eight()), -3), Err: priced{int(next())}}
	case 13:
		return &everything{Any: grow(data, depth+1), Named: Base{ID: text()}, F64: math.Float64frombits(eight())}
	case 14:
		v := grow(data, depth+1)
		return &v
	case 15, 16:
		m := map[string]any{}
		for range next() % 5 {
			m[text()] = grow(data, depth+1)
		}
		return m
	default:
		var l []any
		for range next() % 5 {
			l = append(l, grow(data, depth+1))
		}
		return l
	}
}

// FuzzEncode: what Encode accepts, Validate accepts and encoding/json reads.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("\x0f\x03\x01a\x05\x01\x02\x03"), false)
	f.Add([]byte{15, 4, 1, 'a', 1, 0x7f, 0xf0, 1, 'b', 9, 2, 0xff, 0xfe}, true)
	f.Add([]byte{13, 17, 3, 10, 2, '{', '}', 8, 1, 2, 3, 4, 5, 6, 7, 8, 9}, false)
	f.Fuzz(func(t *testing.T, data []byte, numbers bool) {
		var opts []Option
		if numbers {
			opts = append(opts, WithDecimalNumbers())
		}
		got, err := Encode(map[string]any{"v": grow(&data, 0)}, opts...)
		if err != nil {
			var refused *Error
			if !errors.As(err, &refused) || !strings.HasPrefix(refused.Path, "$") {
				t.Errorf("error %v", err)
			}
			return
		}
		if err := Validate(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
		var object map[string]any
		decoder := json.NewDecoder(bytes.NewReader(got))
		decoder.UseNumber() // a float beyond float64 is still JSON
		if err := decoder.Decode(&object); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	})
}

func ExampleEncode() {
	encoded, err := Encode(map[string]any{
		"price":  parseFixed("187.10"), // with github.com/shopspring/decimal: decimal.RequireFromString
		"filled": time.Date(2026, 2, 13, 15, 45, 3, 0, newYork),
		"reason": fmt.Errorf("place order: %w", fs.ErrPermission),
	})
	fmt.Println(string(encoded), err)
	_, err = Encode(map[string]any{"legs": []any{map[string]any{"price": math.NaN()}}})
	fmt.Println(err)
	// Output:
	// {"filled":"2026-02-13T20:45:03Z","price":"187.1","reason":{"error_type":"*errors.errorString","error_message":"place order: permission denied"}} <nil>
	// $.legs[0].price: JSON has no NaN and no infinity
}

func ExampleValidate() {
	for _, text := range []string{`{"price":"187.10"}`, `{"legs":[{"order":9223372036854775808}]}`, `{"legs":[{"order":1},]}`} {
		err := Validate([]byte(text))
		var refused *Error
		if errors.As(err, &refused) {
			fmt.Println("at", refused.Path, "-", refused.Reason)
			continue
		}
		fmt.Println("fine")
	}
	// Output:
	// fine
	// at $.legs[0].order - an integer beyond int64, which EventBridge does not keep: send it as a string
	// at $.legs[1] - not JSON at byte 21
}
