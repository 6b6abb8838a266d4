package verify

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		status             int
		body               string
		confirmed, waiting int
		ok                 bool
	}{
		{"topic", 200, `<GetTopicAttributesResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><GetTopicAttributesResult><Attributes>
			<entry><key>SubscriptionsPending</key><value>1</value></entry><entry><key>Owner</key><value>x</value></entry>
			<entry><key>SubscriptionsConfirmed</key><value>12</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>`, 12, 1, true},
		{"not-a-number", 200, `<R><GetTopicAttributesResult><Attributes><entry><key>SubscriptionsPending</key><value>many</value></entry></Attributes></GetTopicAttributesResult></R>`, 0, 0, false},
		{"missing", 404, `<ErrorResponse><Error><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>`, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("TopicArn") != "arn:topic" || r.FormValue("Action") != "GetTopicAttributes" {
					t.Errorf("request %v", r.Form)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer s.Close()
			c := &sdk{config: aws.Config{BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")}}
			confirmed, waiting, err := c.subscriptions(t.Context(), "eu-west-1", "arn:topic")
			if confirmed != tt.confirmed || waiting != tt.waiting || (err == nil) != tt.ok {
				t.Errorf("got %d, %d, %v", confirmed, waiting, err)
			}
		})
	}
}
