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

// cloudFormation answers as AWS does for one stack called there, which has a
// bucket called kept, and S3 for that bucket.
func cloudFormation(t *testing.T) (*AWS, *[]string) {
	t.Helper()
	const resource = `<member><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>%s</PhysicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>%s</ResourceStatus><StackName>there</StackName><LastUpdatedTimestamp>2026-11-01T00:00:00Z</LastUpdatedTimestamp><Timestamp>2026-11-01T00:00:00Z</Timestamp></member>`
	var changed []string
	deleted := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || r.Method != http.MethodPost {
			switch name := strings.Trim(r.URL.Path, "/"); {
			case r.Header.Get("X-Amz-Expected-Bucket-Owner") != "123456789012":
				t.Errorf("the bucket %s is asked for without its owner", name)
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
	a, _ := cloudFormation(t)
	for stack, want := range map[string]string{"there": "ROLLBACK_COMPLETE", "none": ""} {
		if got, err := a.Status(t.Context(), "us-east-1", stack); err != nil || got != want {
			t.Errorf("status of %s: %q, %v, want %q", stack, got, err, want)
		}
	}
	for key, want := range map[string]string{"CodeHash": "abc", "Other": ""} {
		if got, err := a.Output(t.Context(), "us-east-1", "there", key); err != nil || got != want {
			t.Errorf("output %s: %q, %v", key, got, err)
		}
	}
	if got, err := a.Output(t.Context(), "us-east-1", "none", "CodeHash"); err != nil || got != "" {
		t.Errorf("output of no stack: %q, %v", got, err)
	}
	if got, err := a.Resources(t.Context(), "us-east-1", "there"); err != nil || !reflect.DeepEqual(got, []string{"AWS::SQS::Queue work"}) {
		t.Errorf("what is left: %q, %v", got, err)
	}
	for bucket, want := range map[string]string{"kept": "there", "kept2": "there", "given-up": "", "none": ""} {
		// Whether the stack is asked, or all of them.
		stack := map[bool]string{true: "there", false: "none"}[bucket == "kept2"]
		if got, err := a.Owner(t.Context(), "us-east-1", stack, bucket); err != nil || got != want {
			t.Errorf("owner of %s: %q, %v, want %q", bucket, got, err, want)
		}
	}
}

func TestAWSBuckets(t *testing.T) {
	a, _ := cloudFormation(t)
	for bucket, want := range map[string]Whose{"kept": Ours, "none": Nobodys, "others": Others, "elsewhere": Others} {
		if got, err := a.Bucket(t.Context(), "us-east-1", bucket); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %v", bucket, got, err, want)
		}
	}
	if _, err := a.Bucket(t.Context(), "us-east-1", "broken"); err == nil {
		t.Error("an answer that nobody understands is one")
	}
	for bucket, want := range map[string]string{"kept": "test", "bare": ""} {
		if got, err := a.Stage(t.Context(), "us-east-1", bucket); err != nil || got != want {
			t.Errorf("%s is of the stage %q, %v, want %q", bucket, got, err, want)
		}
	}
}

func TestAWSDeletes(t *testing.T) {
	a, changed := cloudFormation(t)
	if err := a.DeletePolicy(t.Context(), "us-east-1", "kept"); err != nil {
		t.Error(err)
	}
	for _, stack := range []string{"there", "none"} {
		if err := a.DeleteStack(t.Context(), "us-east-1", stack); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"policy of kept", "stack arn:there"}; !reflect.DeepEqual(*changed, want) {
		t.Errorf("changed are %q, want %q", *changed, want)
	}
}
