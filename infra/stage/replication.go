package stage

import (
	"encoding/json"

	"archeio/lambda/config"
)

// ReplicatedPrefix is the key prefix of what the primary replicates: all blobs, and
// nothing else, because each mirror has its own blob index.
const ReplicatedPrefix = config.BlobPrefix + "sha256:"

// ReplicationRule is a rule by which S3 replicates blobs from the primary to the mirror in
// another region.
type ReplicationRule struct {
	ID, Region, Bucket string
	Priority           int
}

// ReplicationRules returns the rules of the primary, none for a stage with one mirror.
func (s *Stage) ReplicationRules() []ReplicationRule {
	var all []ReplicationRule
	for i, region := range s.Replicas() {
		all = append(all, ReplicationRule{"to-" + region, region, s.Bucket(region), i + 1})
	}
	return all
}

// ReplicationConfiguration returns the replication configuration that an existing bucket
// needs as the primary, as aws s3api put-bucket-replication reads it. role is the ARN of
// the role of S3.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
func (s *Stage) ReplicationConfiguration(role string) string {
	type status struct{ Status string }
	type destination struct {
		Bucket  string
		Metrics status
	}
	type rule struct {
		ID, Status              string
		Priority                int
		Filter                  struct{ Prefix string }
		DeleteMarkerReplication status
		Destination             destination
	}
	c := struct {
		Role  string
		Rules []rule
	}{Role: role}
	for _, r := range s.ReplicationRules() {
		c.Rules = append(c.Rules, rule{
			r.ID, "Enabled", r.Priority, struct{ Prefix string }{ReplicatedPrefix}, status{"Disabled"},
			destination{"arn:aws:s3:::" + r.Bucket, status{"Enabled"}},
		})
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic("stage: " + err.Error()) // it has only texts and numbers
	}
	return string(text)
}
