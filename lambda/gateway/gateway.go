// Package gateway decodes the events of every entry point that can invoke a
// Lambda function over HTTP, and encodes the response in the format of that entry
// point.
//
// The entry point is recognized by the members of the event, not configured:
//
//	ALB           a target group, with single or multi-value headers
//	function URL  payload format 2.0; CloudFront uses it too
//	HTTP API      payload format 2.0, with a decoded path
//	REST API      payload format 1.0
//	Lambda@Edge   Records[0].cf, viewer-request and origin-request
//
// Which parts of an event are trusted depends on the entry point and is decided
// here.
package gateway

import (
	"context"

	"archeio/lambda/redirect"
)

// Gateway is a lambda.Handler. It is safe for concurrent use.
type Gateway struct {
	decoder Decoder
	handle  func(context.Context, redirect.Request) redirect.Response
	after   func()
}

// New returns a Gateway. clientAddressHeader is config.Config.ClientAddressHeader.
// after is called after each call of handle; it may be nil.
func New(clientAddressHeader string, handle func(context.Context, redirect.Request) redirect.Response, after func()) *Gateway {
	if after == nil {
		after = func() {}
	}
	return &Gateway{Decoder{ClientAddressHeader: clientAddressHeader}, handle, after}
}

// Invoke handles one event. The error is an *EventError if the payload is not an
// event of a known entry point.
func (g *Gateway) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	r, shape, err := g.decoder.Decode(payload)
	if err != nil {
		return nil, err
	}
	resp := g.handle(ctx, r)
	g.after()
	return shape.Encode(&resp), nil
}
