package capacity

import (
	"reflect"
	"testing"

	"archeio/infra/stage"
)

func read(t *testing.T, name string) *stage.Stage {
	t.Helper()
	s, err := stage.Read("../../../cdk.json", name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The presets are deployed as the stages that their documentation names.
func TestPresetsAreStages(t *testing.T) {
	t.Parallel()
	for name, preset := range map[string]Load{"smallest": small, "production": large} {
		l := preset
		l.Places = nil
		if l.deployAs(read(t, name)); !reflect.DeepEqual(l, preset) {
			t.Errorf("the preset of the stage %s is\n%+v, the stage is deployed as\n%+v", name, preset, l)
		}
	}
}

// A stage with an upstream that requires a token relays.
func TestRelayingStage(t *testing.T) {
	t.Parallel()
	all, err := stage.Load([]byte(`{"hub": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://ghcr.io", "path": "x", "access": "token"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	l := small
	if l.deployAs(all[0]); l.Relay == 0 {
		t.Error("nothing is relayed")
	}
	if l.deployAs(read(t, "smallest")); l.Relay != 0 {
		t.Error("an open upstream is relayed")
	}
}

// A budget is above what the stage costs with its traffic, and near enough to notice twice
// of that. A download alarm is above the busiest hour of the busiest mirror.
func TestStagesAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		load   Load
		budget bool
	}{{"smallest", small, false}, {"sandbox", small, true}, {"production", large, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, l := read(t, c.name), c.load
			l.deployAs(s)
			r := Evaluate(c.name, l, false)
			if (s.Budget > 0) != c.budget || c.budget && (s.Budget < r.Total || s.Budget > 2*r.Total) {
				t.Errorf("the budget is $%.0f, the stage costs $%.0f", s.Budget, r.Total)
			}
			idle := l
			idle.Pulls, idle.GrowthGB = 0, 0
			if cost := Evaluate(c.name, idle, false).Total; c.budget && s.Budget < cost {
				t.Errorf("the budget is $%.0f, the stage costs $%.0f without traffic", s.Budget, cost)
			}
			var bytes float64
			for _, path := range []int{BucketSame, BucketOther, BucketInternet, EdgeFetched} {
				bytes += r.Quantities.Paths[path].Bytes
			}
			busiest := bytes / hours * l.busiest(l.Mirrors) * l.Peak / gb
			if alarm := float64(s.DownloadAlarm); alarm < busiest || alarm > 3*busiest {
				t.Errorf("the download alarm is %.0f GB an hour, the busiest hour of the busiest mirror has %.0f", alarm, busiest)
			}
		})
	}
}
