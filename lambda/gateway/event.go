package gateway

import "bytes"

// event has the members that are needed of the events of all entry points. Fields
// of type []byte are JSON strings without the quotes; they may be parts of the
// payload. The queries are whole JSON values.
type event struct {
	httpMethod []byte
	path       []byte
	rawPath    []byte
	rawQuery   []byte

	context    bool // requestContext
	elb        bool
	http       bool // requestContext.http, of payload 2.0
	method2    []byte
	sourceIP   []byte // requestContext.http.sourceIp, or .identity.sourceIp
	domainName []byte
	stage      []byte

	single, multi           headers
	hasMulti                bool
	singleQuery, multiQuery []byte

	records bool
	cf      bool
	cfType  []byte
}

// headers has the header fields that are used.
type headers struct {
	forwardedFor     field
	clientAddress    field
	authorization    field
	viewerAuthorized field
	viewerHost       field
	latitude         field
	longitude        field
	country          field
}

// field is a header field. If it has several values, value is the last one.
type field struct {
	set bool
	// differing reports whether the values differ. twice reports whether two
	// spellings of the name have different values.
	differing, twice bool
	value            []byte
}

func (f *field) add(value []byte) {
	f.differing = f.differing || f.set && !bytes.Equal(f.value, value)
	f.set, f.value = true, value
}

// merge adds the values of another spelling of the name.
func (f *field) merge(g field) {
	switch {
	case !g.set:
	case !f.set:
		*f = g
	default:
		f.add(g.value)
		f.differing = f.differing || g.differing
		f.twice = f.differing
	}
}

// reader reads one event.
type reader struct {
	scanner
	event event
	// wanted is the configured client address header, in lower case.
	wanted string
}

// read reads the whole payload. If a name is in an object twice, the last value
// counts. Invalid UTF-8 is rejected later, where the value is validated.
func (r *reader) read() error {
	if r.peek() == 'n' {
		return errType
	}
	r.topLevel()
	if r.peek(); r.at < len(r.text) {
		return errTrailing
	}
	return r.err
}
