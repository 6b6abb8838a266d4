package gateway

import "bytes"

// event is what is read of an event, of whatever front: only what is needed.
// Fields of type []byte are JSON strings without their quotes, as they stand
// in the payload; the queries are whole values.
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

	single, multi           headers
	hasMulti                bool
	singleQuery, multiQuery []byte

	records bool
	cf      bool
	cfType  []byte
}

// headers are the few that matter.
type headers struct {
	forwardedFor     field
	clientAddress    field
	authorization    field
	viewerAuthorized field
	latitude         field
	longitude        field
	country          field
}

// field is a header. Where it has several values the last one is kept.
type field struct {
	set bool
	// differing: the values are not all the same. twice: the name stands
	// there twice, in different spelling, with values that are not the same.
	differing, twice bool
	value            []byte
}

func (f *field) add(value []byte) {
	f.differing = f.differing || f.set && !bytes.Equal(f.value, value)
	f.set, f.value = true, value
}

// merge takes over the values that stand under one spelling of the name.
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

// reader is what reading one event needs.
type reader struct {
	scanner
	event event
	// wanted is the configured client address header.
	wanted string
}

// read takes the payload apart. Names twice in an object are the front's
// business, and bytes that are not UTF-8 are refused where they matter.
func (r *reader) read() error {
	if r.peek() == 'n' {
		return errType // no event is null
	}
	r.topLevel()
	if r.peek(); r.at < len(r.text) {
		return errTrailing
	}
	return r.err
}
