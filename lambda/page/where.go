package page

// Where is where a client is sent, as the command archeio explain has it, and why. It
// is computed without checking a mirror: the first candidate has every blob.
type Where struct {
	// IP is the client address, empty if it is missing or invalid.
	IP string `json:"ip"`
	// Path, Kind, Name, Reference, Status, Reason and Location are of the request
	// that is explained. Without one it is that for any blob, and only Kind, Status
	// and Reason are set.
	Path      string `json:"path"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Reference string `json:"reference"`
	Status    int    `json:"status"`
	Cloud     string `json:"cloud"`
	Region    string `json:"region"`
	// Range is the matching range of the table, as "first - last".
	Range string `json:"range"`
	// Candidates are the regions of mirrors, "default" and "upstream", in order.
	Candidates []string `json:"candidates"`
	// Distances are those from Position to each of Candidates, null where one of
	// them has no known location.
	Distances []*int `json:"distance_km"`
	Reason    string `json:"reason"`
	Location  string `json:"location"`
	// Relayed is the URL at the upstream whose response is relayed, empty for none.
	Relayed string `json:"relayed,omitempty"`
	// Position is that of the client's region, or that which the entry point
	// reports; null if it is not known.
	Position *Position `json:"position"`
}

// Position is a point on the map, in degrees.
type Position struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// JSON returns the document at /where.
func (w *Where) JSON() string { return encode(w) }
