//go:build !race

package stacks

import "testing"

// Stage.AlarmMetrics is the number of metrics that the synthesized alarms evaluate.
func TestAlarmMetrics(t *testing.T) {
	c := synthesized(t)
	got := map[string]int{}
	for _, st := range c.stacks {
		for _, alarm := range st.resources("AWS::CloudWatch::Alarm") {
			n := 1
			if list := list(at(alarm, "Properties", "Metrics")); list != nil {
				n = 0
				for _, m := range list {
					if at(m, "MetricStat") != nil {
						n++
					}
				}
			}
			got[st.stage.Name] += n
		}
	}
	for _, s := range c.stages {
		if want := s.AlarmMetrics(); got[s.Name] != want {
			t.Errorf("the alarms of stage %s evaluate %d metrics, AlarmMetrics returns %d", s.Name, got[s.Name], want)
		}
	}
}
