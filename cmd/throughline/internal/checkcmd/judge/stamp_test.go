package judge

import (
	"strings"
	"testing"
)

func TestStampChanges(t *testing.T) {
	for pattern, want := range map[string]string{ // "" for no change, "?" for one that an ID may make
		``:                                     "",
		`{"source":["a"]}`:                     "",
		`{"source":[{"exists":false}]}`:        "",
		`{"resources":[{"exists":false}]}`:     "an event without resources of its own does not match it when stamped",
		`{"resources":[{"exists":true}]}`:      "an event without resources of its own matches it when stamped",
		`{"resources":[{"anything-but":"x"}]}`: "an event without resources of its own matches it when stamped",
		`{"resources":[{"anything-but":["arn:aws:s3:::a-bucket-of-somebody/an.object"]}]}`:         "matches it when stamped",
		`{"resources":[{"anything-but":{"prefix":"arn:"}}]}`:                                       "matches it when stamped",
		`{"resources":[{"anything-but":{"suffix":"/x"}}]}`:                                         "matches it when stamped",
		`{"resources":[{"wildcard":"*"}]}`:                                                         "matches it when stamped",
		`{"resources":[{"wildcard":"*:workflow-*"}]}`:                                              "matches it when stamped",
		`{"resources":[{"wildcard":"*/orders/*"}]}`:                                                "?",
		`{"resources":[{"wildcard":"arn:aws:s3:::*/orders/*"}]}`:                                   "",
		`{"resources":[{"suffix":"-01"}]}`:                                                         "matches it when stamped",
		`{"resources":[{"suffix":"/prod"}]}`:                                                       "?",
		`{"resources":[{"prefix":"arn:aws:s3"}]}`:                                                  "",
		`{"resources":[{"prefix":""}]}`:                                                            "matches it when stamped",
		`{"resources":["arn:aws:s3:::bucket"]}`:                                                    "",
		`{"resources":["correlation:workflow-of-mine"]}`:                                           "",
		`{"resources":[{"equals-ignore-case":"ARN:X"}]}`:                                           "",
		`{"resources":[{"exists":true},{"exists":false}]}`:                                         "", // it matches everything before and after
		`{"$or":[{"source":["a"]},{"resources":[{"exists":false}]}]}`:                              "does not match it when stamped",
		`{"$or":[{"source":["a"]},{"$or":[{"detail":{"a":[1]}},{"resources":[{"suffix":"x"}]}]}]}`: "?",
		`{"detail":{"resources":[{"exists":false}]}}`:                                              "", // another member of the same name
	} {
		found, err := stampChanges(pattern)
		switch {
		case err != nil:
			t.Errorf("%s: %v", pattern, err)
		case want == "" && len(found) > 0, want != "" && len(found) != 1:
			t.Errorf("%s: %v, want %q", pattern, found, want)
		case want == "?" && found[0].certain, want != "" && want != "?" && (!found[0].certain || !strings.Contains(found[0].why, want)):
			t.Errorf("%s: %v, want %q", pattern, found, want)
		}
	}
	for _, pattern := range []string{`{`, `{"resources":"x"}`, `{"resources":[{"unknown":1}]}`, `{"resources":[]}`, `{"$or":{}}`, `{"$or":[{"resources":1}]}`} {
		if found, err := stampChanges(pattern); err == nil {
			t.Errorf("%s: no error, %v", pattern, found)
		}
	}
}

func FuzzStampChanges(f *testing.F) {
	f.Add(`{"resources":[{"wildcard":"*/orders/*"},"x",{"exists":false}]}`)
	f.Add(`{"$or":[{"resources":[{"anything-but":{"suffix":"x"}}]},{"source":["a"]}]}`)
	f.Fuzz(func(t *testing.T, pattern string) {
		found, err := stampChanges(pattern)
		for _, c := range found {
			if err != nil || !strings.HasPrefix(c.why, "resources ") {
				t.Fatalf("%v, %v", found, err)
			}
		}
	})
}
