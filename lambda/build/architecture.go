package build

// architectures are the names of the processor architectures of Lambda and of Go.
// https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html
var architectures = [...]struct{ lambda, goarch string }{{"arm64", "arm64"}, {"x86_64", "amd64"}}

// Architectures returns the architectures as Lambda names them.
func Architectures() []string {
	names := make([]string, len(architectures))
	for i, a := range architectures {
		names[i] = a.lambda
	}
	return names
}

// GOARCH returns Go's name of a Lambda architecture, the empty string if it is
// unknown.
func GOARCH(architecture string) string {
	for _, a := range architectures {
		if a.lambda == architecture {
			return a.goarch
		}
	}
	return ""
}

// Architecture returns Lambda's name of an architecture that Go calls goarch, the
// empty string if Lambda does not have it.
func Architecture(goarch string) string {
	for _, a := range architectures {
		if a.goarch == goarch {
			return a.lambda
		}
	}
	return ""
}
