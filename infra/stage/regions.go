package stage

import (
	"slices"

	"archeio/lambda/spelling"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// aws is the name of the cloud in the table of regions.
const aws = string(ranges.AWS)

// commercial is the partition of all stacks. Credentials and ARNs of one partition
// are not valid in another, and CloudFront is used as in this one.
const commercial = "aws"

// withoutFunctionURLs are the regions that have no Lambda function URLs, of November
// 2026. The page does not list mx-central-1; CloudFormation's resource types do.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
var withoutFunctionURLs = []string{
	"ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-2",
	"il-central-1", "me-central-1", "mx-central-1",
}

// HasFunctionURL reports whether a function in a region can have a function URL.
func HasFunctionURL(region string) bool { return !slices.Contains(withoutFunctionURLs, region) }

// regions reads where mirrors and redirectors are, and reports whether the rest
// of the stage can be read.
func (r *reader) regions(s *Stage) bool {
	before := len(r.errs)
	r.awsRegions("mirrors", &s.Mirrors)
	r.awsRegions("redirectors", &s.Redirectors)
	if len(r.errs) > before {
		return false
	}
	for _, region := range s.Redirectors {
		if s.HasDistribution() && !HasFunctionURL(region) {
			r.problem("redirectors", `%q has no Lambda function URLs, which the distribution needs: want other regions, or the front "alb"`, region)
		}
	}
	s.Primary = s.Mirrors[0]
	if r.decode("primary", &s.Primary) && !slices.Contains(s.Mirrors, s.Primary) {
		r.problem("primary", "%s: want %s", notIn(s.Primary, "mirrors", s.Mirrors), find("primary").want)
	}
	s.Home = s.Mirrors[0]
	if r.decode("home", &s.Home) {
		r.awsRegion("home", s.Home)
	}
	r.subset("filling", &s.Filling, s, "is the primary, which is always redirected to: want other mirrors")
	r.subset("retiring", &s.Retiring, s, "is the primary, which cannot be retired: make another mirror the primary and deploy that first")
	for _, region := range s.Retiring {
		if slices.Contains(s.Filling, region) {
			r.problem("retiring", "%q is in filling too: want it in one of them", region)
		}
	}
	return true
}

// awsRegions reads a list of at least one region, each known and once.
func (r *reader) awsRegions(name string, into *[]string) {
	if !r.decode(name, into) {
		return
	}
	if len(*into) == 0 {
		r.invalid(name)
	}
	for i, region := range *into {
		if slices.Contains((*into)[:i], region) {
			r.problem(name, "duplicate region %q: want each region once", region)
			continue
		}
		r.awsRegion(name, region)
	}
}

// awsRegion records that a region is not one that the stage can have stacks in.
func (r *reader) awsRegion(name, region string) {
	switch at, known := regions.Find(aws, region); {
	case !known:
		r.problem(name, "unknown region %q%s: want %s", shortened(region), spelling.DidYouMean(region, regionNames), find(name).want)
	case at.Partition != commercial:
		r.problem(name, "region %q is in the partition %s: want regions of the partition %s; mirrorFor redirects its clients to a mirror", region, at.Partition, commercial)
	}
}

func regionNames(yield func(string) bool) {
	for r := range regions.All(aws) {
		if !yield(r.Name) {
			return
		}
	}
}

// subset reads a list of mirrors without the primary, each once.
func (r *reader) subset(name string, into *[]string, s *Stage, primary string) {
	if !r.decode(name, into) {
		return
	}
	for i, region := range *into {
		switch {
		case !slices.Contains(s.Mirrors, region):
			r.problem(name, "%s: want %s", notIn(region, "mirrors", s.Mirrors), find(name).want)
		case slices.Contains((*into)[:i], region):
			r.problem(name, "duplicate region %q: want each region once", region)
		case region == s.Primary:
			r.problem(name, "%q %s", region, primary)
		}
	}
}
