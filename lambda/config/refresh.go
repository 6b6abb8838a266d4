package config

import (
	"errors"
	"strings"
)

// AWSNotices is the SNS topic that AWS publishes to when its addresses change.
// https://docs.aws.amazon.com/vpc/latest/userguide/subscribe-notifications.html
const AWSNotices = "arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged"

// Refresh is the configuration of the function that keeps the range tables of the
// mirrors up to date.
type Refresh struct {
	// Stage is the name of the stage.
	Stage string
	// Buckets are those of the mirrors.
	Buckets []Bucket
	// State is the private bucket with the state.
	State Bucket
	// Topic is the ARN of the SNS topic for mails, empty if there is none.
	Topic string
	// Notices is the ARN of the topic whose notices are accepted.
	Notices string
	// Documents is the base URL on loopback of documents that are used instead of the
	// providers', for tests; empty for the providers'. The documents are CLOUD.json.
	Documents string
	// Redirectors are the configurations of the redirectors, as much of them as a
	// decision needs.
	Redirectors []*Config
	// Balancer is whether clients reach the redirectors by load balancers only.
	Balancer bool
}

// RefreshVariables lists every variable that LoadRefresh reads, in the order in which
// they are documented, but for those of the redirector.
var RefreshVariables = [...]Variable{
	{Name: "REFRESH_STAGE", Meaning: "name of the stage, for mails; required"},
	{Name: "REFRESH_BUCKETS", Meaning: "buckets of the mirrors, `name@region`, comma-separated; required"},
	{Name: "REFRESH_STATE", Meaning: "private bucket for the state and the history, `name@region`; required"},
	{Name: "REFRESH_REDIRECTORS", Meaning: "regions of the redirectors, comma-separated; required"},
	{Name: "REFRESH_BALANCER", Meaning: "whether clients reach the redirectors by load balancers only: `true` or `false`", Default: "false"},
	{Name: "REFRESH_TOPIC", Meaning: "ARN of the SNS topic for mails"},
	{Name: "REFRESH_NOTICES", Meaning: "ARN of the SNS topic whose notices are accepted", Default: AWSNotices},
	{Name: "REFRESH_DOCUMENTS", Meaning: "base URL of documents to use instead of the providers', a loopback address, for tests"},
}

// decisive are the variables of the redirector that LoadRefresh reads too: a choice of
// mirror depends on them.
var decisive = []string{
	"UPSTREAM_REGISTRY_ENDPOINT", "UPSTREAM_REGISTRY_PATH", "UPSTREAM_CLOUDS", "DEFAULT_AWS_BASE_URL", "DEFAULT_MIRROR_CHECK_URL",
	"MIRROR_REGIONS", "MIRROR_URL_TEMPLATE", "MIRROR_FOR",
}

// LoadRefresh reads the configuration through getenv, as Load does.
func LoadRefresh(getenv func(string) string) (*Refresh, error) {
	l := loader{getenv: getenv}
	r := &Refresh{
		Stage:     l.matching("REFRESH_STAGE", func(v string) bool { return v != "" && only(v, "-") }, "invalid name: want that of the stage"),
		Buckets:   l.buckets("REFRESH_BUCKETS"),
		State:     l.state("REFRESH_STATE"),
		Topic:     l.get("REFRESH_TOPIC"),
		Notices:   l.get("REFRESH_NOTICES"),
		Documents: l.loopback("REFRESH_DOCUMENTS"),
		Balancer:  l.boolean("REFRESH_BALANCER"),
	}
	for region := range list(l.get("REFRESH_REDIRECTORS")) {
		if !knownRegion(region) {
			l.invalid("REFRESH_REDIRECTORS", unknownRegion(region)+": want regions, comma-separated")
			break
		}
		c, err := Load(func(name string) string {
			if name == "AWS_REGION" {
				return region
			}
			return getenv(name)
		})
		if err != nil {
			return nil, err
		}
		r.Redirectors = append(r.Redirectors, c)
	}
	if len(r.Redirectors) == 0 && len(l.problems) == 0 {
		l.invalid("REFRESH_REDIRECTORS", "required: want regions, comma-separated")
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// loopback reads a base URL of this machine, which may be empty.
func (l *loader) loopback(name string) string {
	v := l.get(name)
	if v == "" {
		return ""
	}
	base, err := baseURL(v)
	if err == nil && !strings.HasPrefix(base, "http://") { // which baseURL accepts for loopback only
		err = errors.New("not a loopback address: want for example http://127.0.0.1:8080")
	}
	if err != nil {
		l.invalid(name, err.Error())
	}
	return base
}

// Env returns the environment from which LoadRefresh reads the same configuration.
func (r *Refresh) Env() map[string]string {
	var buckets, redirectors []string
	for _, b := range r.Buckets {
		buckets = append(buckets, b.Name+"@"+b.Region)
	}
	for _, c := range r.Redirectors {
		redirectors = append(redirectors, c.Region)
	}
	balancer := "false"
	if r.Balancer {
		balancer = "true"
	}
	env := map[string]string{
		"REFRESH_STAGE":       r.Stage,
		"REFRESH_BUCKETS":     strings.Join(buckets, ","),
		"REFRESH_STATE":       r.State.Name + "@" + r.State.Region,
		"REFRESH_REDIRECTORS": strings.Join(redirectors, ","),
		"REFRESH_BALANCER":    balancer,
		"REFRESH_TOPIC":       r.Topic,
		"REFRESH_NOTICES":     r.Notices,
		"REFRESH_DOCUMENTS":   r.Documents,
	}
	of := r.Redirectors[0].Env()
	for _, name := range decisive {
		env[name] = of[name]
	}
	return env
}
