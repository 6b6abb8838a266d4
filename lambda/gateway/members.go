package gateway

// The methods below read the members of an event, one method per level.

func (r *reader) topLevel() {
	e := &r.event
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		switch string(name) {
		case "httpMethod":
			e.httpMethod = r.value()
		case "path":
			e.path = r.value()
		case "rawPath":
			e.rawPath = r.value()
		case "rawQueryString":
			e.rawQuery = r.value()
		case "requestContext":
			e.context = r.peek() == '{'
			r.requestContext()
		case "headers":
			r.singleHeaders()
		case "multiValueHeaders":
			e.hasMulti = r.peek() == '{'
			r.multiHeaders()
		case "queryStringParameters":
			e.singleQuery = r.raw()
		case "multiValueQueryStringParameters":
			e.multiQuery = r.raw()
		case "Records":
			e.records = true
			r.recordList()
		default:
			r.skip()
		}
	}
}

func (r *reader) requestContext() {
	e := &r.event
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		switch string(name) {
		case "elb":
			e.elb = r.peek() == '{'
			r.skip()
		case "http":
			e.http = r.peek() == '{'
			for name, ok := r.member('{'); ok; name, ok = r.member(',') {
				switch string(name) {
				case "method":
					e.method2 = r.value()
				case "sourceIp":
					e.sourceIP = r.value()
				default:
					r.skip()
				}
			}
		case "identity":
			r.only("sourceIp", &e.sourceIP)
		case "domainName":
			e.domainName = r.value()
		case "stage":
			e.stage = r.value()
		default:
			r.skip()
		}
	}
}

// only reads one member of an object.
func (r *reader) only(wanted string, into *[]byte) {
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		if string(name) == wanted {
			*into = r.value()
		} else {
			r.skip()
		}
	}
}

func (r *reader) singleHeaders() {
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		if f := r.field(&r.event.single, name); f != nil {
			f.merge(field{set: true, value: r.value()})
		} else {
			r.skip()
		}
	}
}

func (r *reader) multiHeaders() {
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		f := r.field(&r.event.multi, name)
		if f == nil {
			r.skip()
			continue
		}
		var values field
		for ok := r.element('['); ok; ok = r.element(',') {
			values.add(r.value())
		}
		f.merge(values)
	}
}

// field returns the field of a header name, nil if the header is not used.
func (r *reader) field(h *headers, name []byte) *field {
	switch {
	case same(name, "x-forwarded-for"):
		return &h.forwardedFor
	case same(name, "authorization"):
		return &h.authorization
	case same(name, "x-viewer-authorized"):
		return &h.viewerAuthorized
	case same(name, "x-viewer-host"):
		return &h.viewerHost
	case same(name, "cloudfront-viewer-latitude"):
		return &h.latitude
	case same(name, "cloudfront-viewer-longitude"):
		return &h.longitude
	case same(name, "cloudfront-viewer-country"):
		return &h.country
	case r.wanted != "" && same(name, r.wanted):
		return &h.clientAddress
	}
	return nil
}

// same reports whether a header name is equal to a lower-case name, ignoring case.
func same(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func (r *reader) recordList() {
	for i, ok := 0, r.element('['); ok; i, ok = i+1, r.element(',') {
		if i > 0 {
			r.skip()
			continue
		}
		for name, ok := r.member('{'); ok; name, ok = r.member(',') {
			if string(name) != "cf" {
				r.skip()
				continue
			}
			r.event.cf = r.peek() == '{'
			r.edge()
		}
	}
}

func (r *reader) edge() {
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		switch string(name) {
		case "config":
			r.only("eventType", &r.event.cfType)
		case "request":
			r.edgeRequest()
		default:
			r.skip()
		}
	}
}

func (r *reader) edgeRequest() {
	e := &r.event
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		switch string(name) {
		case "clientIp":
			e.sourceIP = r.value()
		case "method":
			e.httpMethod = r.value()
		case "uri":
			e.path = r.value()
		case "querystring":
			e.rawQuery = r.value()
		case "headers":
			r.edgeHeaders()
		default:
			r.skip()
		}
	}
}

// edgeHeaders reads {"name": [{"key": "Name", "value": "..."}]}. Only
// Authorization is used of a Lambda@Edge event.
func (r *reader) edgeHeaders() {
	for name, ok := r.member('{'); ok; name, ok = r.member(',') {
		if !same(name, "authorization") {
			r.skip()
			continue
		}
		for ok := r.element('['); ok; ok = r.element(',') {
			for name, ok := r.member('{'); ok; name, ok = r.member(',') {
				if string(name) == "value" {
					r.event.single.authorization.add(r.value())
				} else {
					r.skip()
				}
			}
		}
	}
}
