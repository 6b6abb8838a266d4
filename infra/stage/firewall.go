package stage

// Firewall counts, or refuses, addresses that ask too often.
type Firewall struct {
	// Limit is how many requests an address may send in five minutes.
	Limit int `json:"limit"`
	// CountOnly tells that those beyond the limit are counted, not refused.
	CountOnly bool `json:"countOnly"`
}

// firewall reads it; there is none unless the key is there.
func (r *reader) firewall(s *Stage) {
	const takes = `takes how often an address may ask, as {"limit": 100000, "countOnly": true}`
	// A whole cluster may stand behind one address.
	f := &Firewall{Limit: 100000, CountOnly: true}
	if !r.decode("firewall", f, takes) {
		return
	}
	s.Firewall = f
	// https://docs.aws.amazon.com/waf/latest/APIReference/API_RateBasedStatement.html
	if f.Limit < 100 || f.Limit > 2e9 {
		r.refuse("firewall.limit", "takes how many requests an address may send in five minutes, from 100, which one client with a few images sends, to 2000000000")
	}
}

func (r *reader) accessLogs(s *Stage) {
	if r.decode("accessLogs", &s.AccessLogs, "takes true or false") && s.AccessLogs && !s.HasDistribution() {
		r.refuse("accessLogs", "takes true only with a distribution: a load balancer cannot leave out the client's address")
	}
}
