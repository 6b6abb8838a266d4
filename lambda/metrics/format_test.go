package metrics

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// members reads an object with exactly these members. Their names are
// case-sensitive in the format, but not in encoding/json with a struct.
func members(t *testing.T, text []byte, names ...string) map[string]json.RawMessage {
	t.Helper()
	var object map[string]json.RawMessage
	value(t, text, &object)
	slices.Sort(names)
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, names) {
		t.Fatalf("members %q, want %q, in %s", got, names, text)
	}
	return object
}

func value(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// read validates every line against the specification of the format and returns
// the values of each metric by "Name" or "Name Dimension=value". A metric must not
// be there twice, because counts are aggregated.
func read(t *testing.T, at time.Time, text string) map[string][]float64 {
	t.Helper()
	all := map[string][]float64{}
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Fatalf("text %q, want a newline at its end", text)
	}
	for line := range strings.Lines(text) {
		if len(line) > 256<<10 {
			t.Errorf("line of %d bytes, want at most 256 KiB", len(line))
		}
		var root map[string]json.RawMessage
		value(t, []byte(line), &root)
		known := []string{"_aws"}

		aws := members(t, root["_aws"], "Timestamp", "CloudWatchMetrics")
		var timestamp int64
		value(t, aws["Timestamp"], &timestamp)
		if timestamp != at.UnixMilli() {
			t.Errorf("timestamp %d, want %d", timestamp, at.UnixMilli())
		}
		var directives, definitions []json.RawMessage
		value(t, aws["CloudWatchMetrics"], &directives)
		if len(directives) != 1 {
			t.Fatalf("%d directives, want 1, in %s", len(directives), line)
		}
		directive := members(t, directives[0], "Namespace", "Dimensions", "Metrics")
		var namespace string
		value(t, directive["Namespace"], &namespace)
		if namespace != "Archeio" {
			t.Errorf("namespace %q, want Archeio", namespace)
		}

		// The format allows more than one dimension, but each combination is
		// billed as a metric.
		var sets [][]string
		value(t, directive["Dimensions"], &sets)
		if len(sets) != 1 || sets[0] == nil || len(sets[0]) > 1 {
			t.Fatalf("dimensions %q, want one set of at most one dimension", sets)
		}
		suffix := ""
		for _, dimension := range sets[0] {
			var v string
			value(t, root[dimension], &v)
			if v == "" || len(v) > 1024 {
				t.Errorf("dimension %s=%q, want 1 to 1024 bytes", dimension, v)
			}
			known = append(known, dimension)
			suffix = " " + dimension + "=" + v
		}

		value(t, directive["Metrics"], &definitions)
		if len(definitions) == 0 || len(definitions) > 100 {
			t.Errorf("%d metrics, want 1 to 100, in %s", len(definitions), line)
		}
		for _, d := range definitions {
			definition := members(t, d, "Name", "Unit")
			var name, unit string
			value(t, definition["Name"], &name)
			value(t, definition["Unit"], &unit)
			want := "Count"
			if strings.HasSuffix(name, "Latency") {
				want = "Milliseconds"
			}
			if unit != want {
				t.Errorf("%s has unit %q, want %q", name, unit, want)
			}
			known = append(known, name)
			var values []float64
			if target := root[name]; bytes.HasPrefix(target, []byte("[")) {
				value(t, target, &values)
			} else {
				values = make([]float64, 1)
				value(t, target, &values[0])
			}
			if len(values) == 0 || len(values) > 100 {
				t.Errorf("%s has %d values, want 1 to 100", name, len(values))
			}
			if _, twice := all[name+suffix]; twice {
				t.Errorf("duplicate metric %s", name+suffix)
			}
			all[name+suffix] = values
		}
		// Any other member could identify a client.
		members(t, []byte(line), known...)
	}
	return all
}

func compare(t *testing.T, at time.Time, text string, want map[string][]float64) {
	t.Helper()
	if got := read(t, at, text); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

// TestWriteAgainstOracle compares lines with those of encoding/json.
func TestWriteAgainstOracle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, dimension, value string
		values                 []Datum
	}{
		{"counts", "Kind", "blob", []Datum{{"Requests", "Count", 12}, {"Bytes", "Bytes", int64(1) << 60}}},
		{"several-values", "", "", []Datum{{"Latency", "Milliseconds", []float64{0, 0.25, 1e-9, 1e21}}, {"Age", "Seconds", 3.5}}},
		{"quote", "Check", `a"b`, []Datum{{"Checks", "Count", 1}}},
		{"backslash", "Check", `a\b`, []Datum{{"Checks", "Count", 1}}},
		{"control", "Check", "a\nb", []Datum{{"Checks", "Count", 1}}},
		{"not-ascii", "Check", "\u2028é\x7f\xff</x>", []Datum{{"Checks", "Count", 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			Write(&out, time.UnixMilli(1_700_000_000_123), tt.dimension, tt.value, tt.values...)
			definitions, dimensions := []map[string]string{}, []string{}
			want := map[string]any{}
			if tt.dimension != "" {
				dimensions = append(dimensions, tt.dimension)
				want[tt.dimension] = tt.value
			}
			for _, m := range tt.values {
				definitions = append(definitions, map[string]string{"Name": m.Name, "Unit": m.Unit})
				want[m.Name] = m.Value
			}
			want["_aws"] = map[string]any{"Timestamp": 1_700_000_000_123, "CloudWatchMetrics": []any{
				map[string]any{"Namespace": Namespace, "Dimensions": []any{dimensions}, "Metrics": definitions},
			}}
			text, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var gotValue, wantValue any
			value(t, out.Bytes(), &gotValue)
			value(t, text, &wantValue)
			if !reflect.DeepEqual(gotValue, wantValue) || !utf8.Valid(out.Bytes()) || out.Bytes()[out.Len()-1] != '\n' {
				t.Errorf("line\n%swant\n%s", &out, text)
			}
		})
	}
}
