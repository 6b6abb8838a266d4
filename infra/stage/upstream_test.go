package stage

import "testing"

// The rate that the upstream allows is divided between filling and relaying.
func TestRates(t *testing.T) {
	t.Parallel()
	const two = `"redirectors": ["eu-central-1", "us-east-1"], `
	for _, tt := range []struct {
		name, changes string
		fill          float64
		relay         string
	}{
		{"none", `{"upstream": {"endpoint": "https://a.example", "access": "token"}}`, 20, "10"},
		{"known", `{"upstream": {"endpoint": "https://ghcr.io", "access": "token"}}`, 20, "20"},
		{"half", `{` + two + `"upstream": {"endpoint": "https://a.example", "access": "token", "rate": 8}}`, 4, "2"},
		{"more-than-filling-needs", `{"upstream": {"endpoint": "https://a.example", "access": "token", "rate": 100}}`, 20, "80"},
		{"given", `{` + two + `"upstream": {"endpoint": "https://a.example", "access": "token", "rate": 8}, "fill": {"rate": 6}}`, 6, "1"},
		{"by-hand", `{"upstream": {"endpoint": "https://a.example", "access": "token", "rate": 8}, "fill": false}`, 0, "8"},
		{"open", `{"upstream": {"endpoint": "https://a.example", "rate": 8}}`, 4, ""},
		{"single-host", `{"upstream": {"endpoint": "https://a.example", "rate": 8}, "singleHost": true}`, 4, "4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := Load(stages(t, tt.changes))
			if err != nil {
				t.Fatal(err)
			}
			s := all[0]
			c, err := s.Config(s.Redirectors[0])
			if err != nil {
				t.Fatal(err)
			}
			if s.Filler != nil && s.Filler.Rate != tt.fill || s.Filler == nil && tt.fill != 0 {
				t.Errorf("filler %+v, want rate %g", s.Filler, tt.fill)
			}
			if got := c.Env()["UPSTREAM_RATE"]; got != tt.relay {
				t.Errorf("UPSTREAM_RATE=%q, want %q", got, tt.relay)
			}
			if s.Relays() != c.Relays() {
				t.Errorf("the stage relays: %v, the function: %v", s.Relays(), c.Relays())
			}
		})
	}
}
