package leftover

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// newFake returns an account with fake CloudFormation and S3: a stack named there
// that has a bucket named kept. The strings are the changes that were made.
func newFake(t *testing.T) (*AWS, *[]string) {
	t.Helper()
	const resource = `<member><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>%s</PhysicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>%s</ResourceStatus><StackName>there</StackName><LastUpdatedTimestamp>2026-11-01T00:00:00Z</LastUpdatedTimestamp><Timestamp>2026-11-01T00:00:00Z</Timestamp></member>`
	var changed []string
	deleted := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || r.Method != http.MethodPost {
			switch name := strings.Trim(r.URL.Path, "/"); {
			case r.Header.Get("X-Amz-Expected-Bucket-Owner") != "123456789012":
				t.Errorf("request for bucket %s without X-Amz-Expected-Bucket-Owner", name)
			case name == "others":
				w.WriteHeader(http.StatusForbidden)
			case name == "elsewhere":
				w.WriteHeader(http.StatusMovedPermanently)
			case name == "broken":
				w.WriteHeader(http.StatusTeapot)
			case name != "kept" && name != "bare":
				w.WriteHeader(http.StatusNotFound)
			case r.Method == http.MethodDelete && r.URL.Query().Has("policy"):
				changed = append(changed, "policy of "+name)
				w.WriteHeader(http.StatusNoContent)
			case r.URL.Query().Has("tagging") && name == "bare":
				w.WriteHeader(http.StatusNotFound)
				io.WriteString(w, `<Error><Code>NoSuchTagSet</Code><Message>There is no tag set</Message></Error>`)
			case r.URL.Query().Has("tagging"):
				io.WriteString(w, `<Tagging><TagSet><Tag><Key>archeio:stage</Key><Value>test</Value></Tag></TagSet></Tagging>`)
			}
			return
		}
		r.ParseForm()
		action, stack := r.Form.Get("Action"), r.Form.Get("StackName")
		result := ""
		switch {
		case action == "DescribeStackResources" && r.Form.Get("PhysicalResourceId") == "kept":
			result = "<StackResources>" + fmt.Sprintf(resource, "Mirror", "kept", "AWS::S3::Bucket", "CREATE_COMPLETE") + "</StackResources>"
		case action == "DescribeStackResources" && r.Form.Get("PhysicalResourceId") == "given-up":
			result = "<StackResources>" + fmt.Sprintf(resource, "Mirror", "given-up", "AWS::S3::Bucket", "DELETE_SKIPPED") + "</StackResources>"
		case action == "DescribeStackResources" || stack != "there" && stack != "arn:there":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id %s does not exist</Message></Error></ErrorResponse>`, stack)
			return
		case action == "DeleteStack":
			changed = append(changed, "stack "+stack)
			deleted = true
		case action == "DescribeStacks":
			status := "ROLLBACK_COMPLETE"
			if deleted {
				status = "DELETE_COMPLETE"
			}
			result = `<Stacks><member><StackId>arn:there</StackId><StackName>there</StackName><StackStatus>` + status + `</StackStatus><CreationTime>2026-11-01T00:00:00Z</CreationTime>
				<Outputs><member><OutputKey>CodeHash</OutputKey><OutputValue>abc</OutputValue></member></Outputs></member></Stacks>`
		case action == "ListStackResources":
			result = "<StackResourceSummaries>" +
				fmt.Sprintf(resource, "Mirror", "kept", "AWS::S3::Bucket", "DELETE_SKIPPED") +
				fmt.Sprintf(resource, "Mirror2", "kept2", "AWS::S3::Bucket", "CREATE_COMPLETE") +
				fmt.Sprintf(resource, "Never", "", "AWS::SNS::Topic", "CREATE_FAILED") +
				fmt.Sprintf(resource, "Gone", "gone", "AWS::IAM::Role", "DELETE_COMPLETE") +
				fmt.Sprintf(resource, "Queue", "work", "AWS::SQS::Queue", "DELETE_FAILED") + "</StackResourceSummaries>"
		}
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, result)
	}))
	t.Cleanup(s.Close)
	return NewAWS(aws.Config{
		BaseEndpoint: aws.String(s.URL), Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), RetryMaxAttempts: 1,
	}, "123456789012"), &changed
}

func TestAWSStacks(t *testing.T) {
	t.Parallel()
	a, _ := newFake(t)
	for stack, want := range map[string]string{"there": "ROLLBACK_COMPLETE", "none": ""} {
		if got, err := a.StackStatus(t.Context(), "us-east-1", stack); err != nil || got != want {
			t.Errorf("status of %s: %q, %v, want %q", stack, got, err, want)
		}
	}
	for key, want := range map[string]string{"CodeHash": "abc", "Other": ""} {
		if got, err := a.Output(t.Context(), "us-east-1", "there", key); err != nil || got != want {
			t.Errorf("output %s: %q, %v", key, got, err)
		}
	}
	if got, err := a.Output(t.Context(), "us-east-1", "none", "CodeHash"); err != nil || got != "" {
		t.Errorf("output of a missing stack: %q, %v", got, err)
	}
	if got, err := a.StackResources(t.Context(), "us-east-1", "there"); err != nil || !reflect.DeepEqual(got, []string{"AWS::SQS::Queue work"}) {
		t.Errorf("resources: %q, %v", got, err)
	}
	for bucket, want := range map[string]string{"kept": "there", "kept2": "there", "given-up": "", "none": ""} {
		// kept2 is found in the stack that is searched first.
		stack := map[bool]string{true: "there", false: "none"}[bucket == "kept2"]
		if got, err := a.StackOf(t.Context(), "us-east-1", stack, bucket); err != nil || got != want {
			t.Errorf("stack of %s: %q, %v, want %q", bucket, got, err, want)
		}
	}
}

func TestAWSBuckets(t *testing.T) {
	t.Parallel()
	a, _ := newFake(t)
	for bucket, want := range map[string]Ownership{"kept": Own, "none": Free, "others": Foreign, "elsewhere": Foreign} {
		if got, err := a.Ownership(t.Context(), "us-east-1", bucket); err != nil || got != want {
			t.Errorf("ownership of %s: %v, %v, want %v", bucket, got, err, want)
		}
	}
	if _, err := a.Ownership(t.Context(), "us-east-1", "broken"); err == nil {
		t.Error("an unexpected status code is not an error")
	}
	for bucket, want := range map[string]string{"kept": "test", "bare": ""} {
		if got, err := a.StageTag(t.Context(), "us-east-1", bucket); err != nil || got != want {
			t.Errorf("stage tag of %s: %q, %v, want %q", bucket, got, err, want)
		}
	}
}

func TestAWSDeletes(t *testing.T) {
	t.Parallel()
	a, changed := newFake(t)
	if err := a.DeletePolicy(t.Context(), "us-east-1", "kept"); err != nil {
		t.Error(err)
	}
	for _, stack := range []string{"there", "none"} {
		if err := a.DeleteStack(t.Context(), "us-east-1", stack); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"policy of kept", "stack arn:there"}; !reflect.DeepEqual(*changed, want) {
		t.Errorf("changes %q, want %q", *changed, want)
	}
}
