package capacity

// tokenSeconds is how long an anonymous token is valid where the upstream does not say.
// https://distribution.github.io/distribution/spec/auth/token/
const tokenSeconds = 60

// Relaying is what relaying the responses of an upstream amounts to in a month.
type Relaying struct {
	// Requests are requests to the upstream, without those that fill the mirrors,
	// Tokens those to its token server, at most.
	Requests float64 `json:"requests"`
	Tokens   float64 `json:"tokens"`
	// Direct is the number of requests that the upstream and its token server would get
	// from clients without the stage.
	Direct float64 `json:"direct"`
	// Bytes are sent to clients through the distribution, BalancerBytes through load
	// balancers.
	Bytes         float64 `json:"bytes"`
	BalancerBytes float64 `json:"balancerBytes"`
}

// relaying returns what relaying amounts to for a load with these quantities, without
// tokens; it is zero for a load that is not relayed. It assumes that no process serves a
// manifest twice from memory.
func relaying(l Load, q Quantities) (r Relaying) {
	if l.Relay == 0 {
		return r
	}
	throughEdge := 1 - l.BalancerShare
	manifests := q.Manifests * (throughEdge*(1-l.ManifestHit) + l.BalancerShare)
	r.Requests = manifests + q.Paths[UpstreamInside].Requests + q.Paths[UpstreamInternet].Requests
	// Clients request a token for each repository that they pull from.
	r.Direct = q.Manifests + q.Blobs + l.Pulls
	r.Bytes = q.Manifests * throughEdge * manifestBytes
	r.BalancerBytes = q.Manifests * l.BalancerShare * manifestBytes
	return r
}
