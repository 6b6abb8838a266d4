package preflight

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/index"
)

// readers is who may read the blobs of a bucket by its policy.
type readers struct {
	// public is whether anonymous clients over TLS may, distribution whether the
	// distributions of the account may.
	public, distribution bool
	// denied is the ID of a statement that denies it to clients, conditional that of one
	// that may, depending on its conditions. Both are empty for none.
	denied, conditional string
}

// oneOrMore is a value or a list of values: texts, or numbers and booleans in conditions.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one any
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	values, ok := one.([]any)
	if !ok {
		values = []any{one}
	}
	*o = nil
	for _, v := range values {
		*o = append(*o, fmt.Sprint(v))
	}
	return nil
}

// principals are those of a statement: everybody, or by kind.
type principals struct {
	all    bool
	byKind map[string]oneOrMore
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *principals) UnmarshalJSON(text []byte) error {
	if string(text) == `"*"` {
		p.all = true
		return nil
	}
	err := json.Unmarshal(text, &p.byKind)
	p.all = slices.Contains(p.byKind["AWS"], "*")
	return err
}

type policyStatement struct {
	Sid, Effect                              string
	Principal, NotPrincipal                  *principals
	Action, NotAction, Resource, NotResource oneOrMore
	Condition                                map[string]map[string]oneOrMore
}

// readPolicy returns who may read the blobs of a bucket by its policy. It does not
// evaluate conditions other than that on TLS and on the distribution.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func readPolicy(text, bucket, distribution string) (readers, error) {
	var r readers
	if text == "" {
		return r, nil
	}
	var policy struct{ Statement json.RawMessage }
	var all []policyStatement
	err := json.Unmarshal([]byte(text), &policy)
	if err == nil && strings.HasPrefix(string(policy.Statement), "{") {
		policy.Statement = json.RawMessage("[" + string(policy.Statement) + "]")
	}
	if err == nil {
		err = json.Unmarshal(policy.Statement, &all)
	}
	if err != nil {
		return r, fmt.Errorf("parsing the policy of the bucket %s: %w", bucket, err)
	}
	for i, s := range all {
		name := s.Sid
		if name == "" {
			name = fmt.Sprintf("number %d", i+1)
		}
		switch {
		case s.Effect == "Deny":
			if !s.mayDeny(bucket) || s.onlyWithoutTLS() {
				continue
			}
			if len(s.Condition) > 0 || s.Principal == nil || !s.Principal.all {
				r.conditional = name
			} else {
				r.denied = name
			}
		case s.Effect == "Allow" && s.reads(bucket) && s.Principal != nil:
			conditions, _ := s.flat()
			if s.Principal.all && (len(conditions) == 0 || slices.Equal(conditions, []string{"aws:securetransport=true"})) {
				r.public = true
			}
			if slices.Contains(s.Principal.byKind["Service"], "cloudfront.amazonaws.com") && s.forDistribution(distribution) {
				r.distribution = true
			}
		}
	}
	return r, nil
}

// reads reports whether a statement is for reading everything below the prefix of blobs.
func (s *policyStatement) reads(bucket string) bool {
	return s.NotAction == nil && s.NotResource == nil && matches(s.Action, "s3:GetObject", true) && !slices.ContainsFunc(clientKeys(), func(key string) bool {
		return !matches(s.Resource, "arn:aws:s3:::"+bucket+"/"+key, false)
	})
}

// mayDeny reports whether a Deny statement denies clients or CloudFront to read any of
// the blobs, if its conditions are met.
func (s *policyStatement) mayDeny(bucket string) bool {
	if s.Principal != nil && !s.Principal.all && !slices.Contains(s.Principal.byKind["Service"], "cloudfront.amazonaws.com") {
		return false // clients are anonymous
	}
	action := matches(s.Action, "s3:GetObject", true)
	if s.NotAction != nil {
		action = !matches(s.NotAction, "s3:GetObject", true)
	}
	return action && slices.ContainsFunc(clientKeys(), func(key string) bool {
		arn := "arn:aws:s3:::" + bucket + "/" + key
		if s.NotResource != nil {
			return !matches(s.NotResource, arn, false)
		}
		return matches(s.Resource, arn, false)
	})
}

// clientKeys are keys that clients and redirectors read.
func clientKeys() []string {
	return []string{config.BlobPrefix + "sha256:" + strings.Repeat("0", 64), config.BlobPrefix + index.Name, config.BlobPrefix + config.RangesName}
}

// flat returns the conditions with one value as "key=value", sorted, and the operators.
func (s *policyStatement) flat() (conditions, operators []string) {
	for operator, keys := range s.Condition {
		operators = append(operators, operator)
		for key, values := range keys {
			conditions = append(conditions, strings.ToLower(key)+"="+strings.Join(values, ","))
		}
	}
	slices.Sort(conditions)
	return conditions, operators
}

// onlyWithoutTLS reports whether a statement is only for requests without TLS, or with a
// version below 1.2.
func (s *policyStatement) onlyWithoutTLS() bool {
	conditions, operators := s.flat()
	if len(conditions) != 1 || len(operators) != 1 {
		return false
	}
	return conditions[0] == "aws:securetransport=false" && strings.HasPrefix(operators[0], "Bool") ||
		strings.HasPrefix(conditions[0], "s3:tlsversion=1.") && strings.HasPrefix(operators[0], "NumericLessThan") && conditions[0] <= "s3:tlsversion=1.2"
}

// forDistribution reports whether the conditions of a statement allow a distribution of
// the account. The ID of the stage's distribution is not known before it is created, so
// one with an ID is accepted.
func (s *policyStatement) forDistribution(arn string) bool {
	account := strings.TrimSuffix(arn, "*")
	for _, keys := range s.Condition {
		for key, values := range keys {
			ok := slices.ContainsFunc(values, func(v string) bool {
				switch strings.ToLower(key) {
				case "aws:sourcearn":
					return strings.HasPrefix(v, account)
				case "aws:sourceaccount":
					return strings.Contains(account, ":"+v+":")
				case "aws:securetransport":
					return v == "true"
				}
				return false
			})
			if !ok {
				return false
			}
		}
	}
	return true
}

// matches reports whether one of the patterns of a policy matches a value. Actions match
// without regard to case.
func matches(patterns []string, value string, fold bool) bool {
	if fold {
		value = strings.ToLower(value)
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		if fold {
			p = strings.ToLower(p)
		}
		return wildcard(p, value)
	})
}

// wildcard matches * and ? as policies do, in which * matches slashes too.
func wildcard(pattern, value string) bool {
	const slash = "\x00"
	escaped := strings.NewReplacer(`\`, `\\`, `[`, `\[`, "/", slash).Replace(pattern)
	ok, err := path.Match(escaped, strings.ReplaceAll(value, "/", slash))
	return ok && err == nil
}
