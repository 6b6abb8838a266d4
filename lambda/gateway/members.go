package gateway

// The members of an event that are read, level by level.

func (r *reader) topLevel(name []byte) (bool, error) {
	e := &r.event
	var err error
	switch string(name) {
	case "httpMethod":
		return r.text(&e.httpMethod)
	case "path":
		return r.text(&e.path)
	case "rawPath":
		return r.text(&e.rawPath)
	case "rawQueryString":
		return r.text(&e.rawQuery)
	case "requestContext":
		e.context = r.decoder.PeekKind() == '{'
		return true, r.object(r.requestContext)
	case "headers":
		return true, r.object(r.singleHeader)
	case "multiValueHeaders":
		e.hasMulti = r.decoder.PeekKind() == '{'
		return true, r.object(r.multiHeader)
	case "queryStringParameters":
		e.singleQuery, err = r.value()
		return true, err
	case "multiValueQueryStringParameters":
		e.multiQuery, err = r.value()
		return true, err
	case "Records":
		e.records = true
		return true, r.array(r.record)
	}
	return false, nil
}

func (r *reader) requestContext(name []byte) (bool, error) {
	switch string(name) {
	case "elb":
		r.event.elb = r.decoder.PeekKind() == '{'
	case "http":
		r.event.http = r.decoder.PeekKind() == '{'
		return true, r.object(r.contextHTTP)
	case "identity":
		return true, r.object(r.contextIdentity)
	case "domainName":
		return r.text(&r.event.domainName)
	}
	return false, nil
}

func (r *reader) contextHTTP(name []byte) (bool, error) {
	switch string(name) {
	case "method":
		return r.text(&r.event.method2)
	case "sourceIp":
		return r.text(&r.event.sourceIP)
	}
	return false, nil
}

func (r *reader) contextIdentity(name []byte) (bool, error) {
	if string(name) == "sourceIp" {
		return r.text(&r.event.sourceIP)
	}
	return false, nil
}

func (r *reader) singleHeader(name []byte) (bool, error) {
	f := r.field(&r.event.single, name)
	if f == nil {
		return false, nil
	}
	var value []byte
	_, err := r.text(&value)
	f.merge(field{set: true, value: value})
	return true, err
}

func (r *reader) multiHeader(name []byte) (bool, error) {
	f := r.field(&r.event.multi, name)
	if f == nil {
		return false, nil
	}
	var values field
	err := r.array(func(int) error {
		var value []byte
		_, err := r.text(&value)
		values.add(value)
		return err
	})
	f.merge(values)
	return true, err
}

// field answers where a header belongs, nil if nobody wants it.
func (r *reader) field(h *headers, name []byte) *field {
	switch {
	case same(name, "x-forwarded-for"):
		return &h.forwardedFor
	case same(name, "authorization"):
		return &h.authorization
	case same(name, "x-viewer-authorized"):
		return &h.viewerAuthorized
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

// same compares a header's name with one in lower case.
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

func (r *reader) record(i int) error {
	if i > 0 {
		return r.decoder.SkipValue()
	}
	return r.object(func(name []byte) (bool, error) {
		if string(name) != "cf" {
			return false, nil
		}
		r.event.cf = r.decoder.PeekKind() == '{'
		return true, r.object(r.edge)
	})
}

func (r *reader) edge(name []byte) (bool, error) {
	switch string(name) {
	case "config":
		return true, r.object(func(name []byte) (bool, error) {
			if string(name) == "eventType" {
				return r.text(&r.event.cfType)
			}
			return false, nil
		})
	case "request":
		return true, r.object(r.edgeRequest)
	}
	return false, nil
}

func (r *reader) edgeRequest(name []byte) (bool, error) {
	e := &r.event
	switch string(name) {
	case "clientIp":
		return r.text(&e.sourceIP)
	case "method":
		return r.text(&e.httpMethod)
	case "uri":
		return r.text(&e.path)
	case "querystring":
		return r.text(&e.rawQuery)
	case "headers":
		return true, r.object(r.edgeHeader)
	}
	return false, nil
}

// edgeHeader: {"name": [{"key": "Name", "value": "..."}]}. Only Authorization
// is read of an edge event.
func (r *reader) edgeHeader(name []byte) (bool, error) {
	if !same(name, "authorization") {
		return false, nil
	}
	return true, r.array(func(int) error {
		return r.object(func(name []byte) (bool, error) {
			if string(name) != "value" {
				return false, nil
			}
			var value []byte
			_, err := r.text(&value)
			r.event.single.authorization.add(value)
			return true, err
		})
	})
}
