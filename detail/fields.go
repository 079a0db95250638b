package detail

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// field is a struct's field as encoding/json sees it.
type field struct {
	name                          string
	index                         []int
	typ                           reflect.Type
	omitEmpty, omitZero, asString bool
	tagged                        bool
}

// fieldsOf are the fields of a struct type, by encoding/json's rules: names from
// tags, embedded structs flattened, the shallowest of a name winning, a tagged
// one among equals, none where that leaves several.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	fields := dominant(allFields(t))
	fieldCache.Store(t, fields)
	return fields
}

// fieldCache holds the fields of each type.
var fieldCache sync.Map

func allFields(t reflect.Type) []field {
	var fields []field
	next := []field{{typ: t}}
	nextCount := map[reflect.Type]int{}
	visited := map[reflect.Type]bool{}
	for len(next) > 0 {
		current, count := next, nextCount
		next, nextCount = nil, map[reflect.Type]int{}
		for _, outer := range current {
			if visited[outer.typ] {
				continue
			}
			visited[outer.typ] = true
			for i := range outer.typ.NumField() {
				f, embedded, ok := readField(outer.typ.Field(i))
				if !ok {
					continue
				}
				f.index = append(slices.Clone(outer.index), i)
				if !embedded {
					fields = append(fields, f)
					if count[outer.typ] > 1 { // no field wins among equals; two are enough to see that
						fields = append(fields, f)
					}
				} else if nextCount[f.typ]++; nextCount[f.typ] == 1 {
					next = append(next, f)
				}
			}
		}
	}
	return fields
}

// readField reads a field's declaration. embedded reports that the fields of
// its type are promoted; ok reports that the field is encoded.
func readField(sf reflect.StructField) (f field, embedded, ok bool) {
	t := sf.Type
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !sf.IsExported() && (!sf.Anonymous || t.Kind() != reflect.Struct) {
		return f, false, false
	}
	tag := sf.Tag.Get("json")
	if tag == "-" {
		return f, false, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	f = field{name: name, typ: sf.Type, tagged: name != ""}
	if sf.Anonymous && name == "" && t.Kind() == reflect.Struct {
		f.typ = t
		return f, true, true
	}
	if name == "" {
		f.name = sf.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			f.omitEmpty = true
		case "omitzero":
			f.omitZero = true
		case "string":
			k := t.Kind()
			f.asString = k == reflect.Bool || k >= reflect.Int && k <= reflect.Uintptr || k == reflect.Float32 || k == reflect.Float64 || k == reflect.String
		}
	}
	return f, false, true
}

// validName says whether encoding/json takes a tag's name.
func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// dominant keeps the winning field of each name, in the order of declaration.
func dominant(fields []field) []field {
	slices.SortStableFunc(fields, func(a, b field) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		if c := len(a.index) - len(b.index); c != 0 {
			return c
		}
		if a.tagged != b.tagged {
			if a.tagged {
				return -1
			}
			return 1
		}
		return slices.Compare(a.index, b.index)
	})
	var kept []field
	for i := 0; i < len(fields); {
		same := i + 1
		for same < len(fields) && fields[same].name == fields[i].name {
			same++
		}
		alone := same == i+1 || len(fields[i].index) != len(fields[i+1].index) || fields[i].tagged != fields[i+1].tagged
		if alone {
			kept = append(kept, fields[i])
		}
		i = same
	}
	slices.SortFunc(kept, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return kept
}
